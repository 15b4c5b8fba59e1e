# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a node that is not the executor learns the task, so that one message on `task` is enough.

`ros2 topic pub --once task` waits for one subscriber, sends, and ends: where several nodes subscribe, only those that
it has found by then hear it. So where there is an executor, it alone subscribes to `task`; the others follow its
latched `active_task`. Without an executor (teleoperation, a robot of others) they subscribe to `task` themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_msgs.msg import String

from smolvla_ros.nodes import topics


class TaskListener:
    """Calls hear(topic, message) with what is said on `active_task` or `task`.

    `update` is to be called now and then (every 0.5 s): it finds out whether there is an executor.
    """

    def __init__(self, node: Node, hear: Callable[[topics.Topic, String], None]) -> None:
        self._node = node
        self._hear = hear
        self._accepted = self._subscribe(topics.ACTIVE_TASK)
        self._said: Any = None  # the subscription to `task`, where there is no executor
        self.update()

    def update(self) -> None:
        """Subscribe to `task` while nobody publishes `active_task`."""
        executors = self._node.count_publishers(self._node.resolve_topic_name(topics.ACTIVE_TASK.name))
        if executors and self._said is not None:
            self._node.destroy_subscription(self._said)
            self._said = None
        elif not executors and self._said is None:
            self._said = self._subscribe(topics.TASK)

    def close(self) -> None:
        """Listen no more."""
        for subscription in filter(None, (self._accepted, self._said)):
            self._node.destroy_subscription(subscription)

    def _subscribe(self, topic: topics.Topic) -> Any:
        def hear(message: String) -> None:
            self._hear(topic, message)

        return self._node.create_subscription(topic.type, topic.name, hear, topic.subscribe)
