# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""For nodes that command the arm: whether the arm node has refused their commands."""

from __future__ import annotations

import time
from typing import Any

from diagnostic_msgs.msg import KeyValue
from rclpy.node import Node

from smolvla_ros.arm.command_admission import PAUSE_S
from smolvla_ros.nodes import topics

RESTART_S = 2 * PAUSE_S  # a refused commander sends nothing for this time, then starts again


class CommandRefusals:
    """Subscribes to `refused_commander` and keeps the newest refusal of this node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._name = node.get_fully_qualified_name()
        self._reason, self._until_s = "", 0.0
        topic = topics.REFUSED_COMMANDER
        self._subscription: Any = node.create_subscription(
            topic.type, topic.name, self._on_refused, topic.subscribe
        )

    def reason_to_hold(self) -> str:
        """Why the node must not send commands now; empty from RESTART_S after the last refusal."""
        return f"the arm does not obey: {self._reason}" if time.monotonic() < self._until_s else ""

    def close(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _on_refused(self, message: KeyValue) -> None:
        if message.key == self._name:
            self._reason, self._until_s = message.value, time.monotonic() + RESTART_S
