# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The task for nodes other than the executor, so that one message on `task` suffices.

`ros2 topic pub --once task` waits for one subscriber, publishes and ends: of several subscribers, only those that it
has discovered by then receive the message. So only the executor subscribes to `task`; other nodes subscribe to its
latched `active_task`. Without an executor (teleoperation, another robot) they subscribe to `task` themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_msgs.msg import String

from smolvla_ros.nodes import topics


class TaskListener:
    """Calls on_task(topic, message) with the messages on `active_task` or `task`.

    `update` must be called periodically (every 0.5 s): it checks whether there is an executor.
    """

    def __init__(self, node: Node, on_task: Callable[[topics.Topic, String], None]) -> None:
        self._node = node
        self._callback = on_task
        self._active_task = self._subscribe(topics.ACTIVE_TASK)
        self._task: Any = None  # the subscription to `task`; None while there is an executor
        self.update()

    def update(self) -> None:
        """Subscribe to `task` while there is no publisher of `active_task`."""
        executors = self._node.count_publishers(self._node.resolve_topic_name(topics.ACTIVE_TASK.name))
        if executors and self._task is not None:
            self._node.destroy_subscription(self._task)
            self._task = None
        elif not executors and self._task is None:
            self._task = self._subscribe(topics.TASK)

    def close(self) -> None:
        for subscription in filter(None, (self._active_task, self._task)):
            self._node.destroy_subscription(subscription)

    def _subscribe(self, topic: topics.Topic) -> Any:
        def on_message(message: String) -> None:
            self._callback(topic, message)

        return self._node.create_subscription(topic.type, topic.name, on_message, topic.subscribe)
