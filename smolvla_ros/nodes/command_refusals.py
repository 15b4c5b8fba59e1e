# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""For programs that command the arm: whether the arm node has refused their commands."""

from __future__ import annotations

import time
from typing import Any

from diagnostic_msgs.msg import KeyValue
from rclpy.node import Node

from smolvla_ros.arm.command_admission import PAUSE_S
from smolvla_ros.nodes import topics

RESTART_S = 2 * PAUSE_S  # a commander that was refused is silent for so long, then begins anew


class CommandRefusals:
    """Listens to `refused_commander` for the name of `node`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._name = node.get_fully_qualified_name()
        self._why, self._until_s = "", 0.0
        topic = topics.REFUSED_COMMANDER
        self._subscription: Any = node.create_subscription(
            topic.type, topic.name, self._on_refused, topic.subscribe
        )

    def reason_to_hold(self) -> str:
        """Why nothing is to be commanded now, in words; empty RESTART_S after the last refusal."""
        return f"the arm does not obey: {self._why}" if time.monotonic() < self._until_s else ""

    def close(self) -> None:
        """Take down the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _on_refused(self, message: KeyValue) -> None:
        if message.key == self._name:
            self._why, self._until_s = message.value, time.monotonic() + RESTART_S
