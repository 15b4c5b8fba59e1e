# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An rclpy node for a command line program, which spins it between its own steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.fast_dds import set_fast_dds

SPIN_S = 0.02


class ClientNode:
    """Initialises rclpy, without its signal handlers, and creates the node `name`; a context manager."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> ClientNode:
        set_fast_dds()
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node(self._name)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()

    def now_ns(self) -> int:
        return int(self.node.get_clock().now().nanoseconds)

    def subscribe(self, topic: topics.Topic, callback: Callable[[Any], None]) -> None:
        self.node.create_subscription(topic.type, topic.name, callback, topic.subscribe)

    def publisher(self, topic: topics.Topic, name: str = "") -> Any:
        """A publisher of a topic, under another name if one is given."""
        return self.node.create_publisher(topic.type, name or topic.name, topic.publish)

    def spin(self, duration_s: float) -> None:
        """Run callbacks for this time."""
        self.spin_until(lambda: False, duration_s)

    def spin_until(self, condition: Callable[[], Any], timeout_s: float) -> bool:
        """Run callbacks until the condition is true, at most for this time; returns whether it is."""
        deadline_s = time.monotonic() + timeout_s
        while not (is_met := bool(condition())) and (left_s := deadline_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left_s, SPIN_S))
        return is_met


def other_publishers_problem(node: Node, publisher: Any) -> str:
    """Why not to publish while others publish on the same topic; empty while there are none."""
    others = node.count_publishers(publisher.topic_name) - 1
    return f"{others} other publishers on {publisher.topic_name}; stop them" if others > 0 else ""


def arguments_without_ros(arguments: Sequence[str] | None) -> list[str]:
    """The words of a command line, by default of this program's, without --ros-args and what follows it."""
    return list(remove_ros_args(list(sys.argv[1:] if arguments is None else arguments)))
