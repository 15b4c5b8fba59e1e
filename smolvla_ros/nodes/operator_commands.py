# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A person's commands, of teleoperation and `jog`: to the executor while there is one, else to the arm.

The executor alone commands the arm then, and hands it over between policy and person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from smolvla_ros.arrays import FloatArray
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import other_publishers_problem
from smolvla_ros.nodes.command_refusals import CommandRefusals
from smolvla_ros.nodes.messages import joint_command_msg


class OperatorCommands:
    """Publishes on `operator_targets` or on `joint_commands`."""

    def __init__(
        self, node: Node, make_publisher: Callable[[topics.Topic], Any], joint_names: tuple[str, ...]
    ) -> None:
        self._node, self._joint_names = node, joint_names
        self._to_arm = make_publisher(topics.JOINT_COMMANDS)
        self._to_executor = make_publisher(topics.OPERATOR_TARGETS)
        self._authority = node.resolve_topic_name(topics.CONTROL_AUTHORITY.name)
        self._refusals = CommandRefusals(node)

    @property
    def has_executor(self) -> bool:
        """Whether there is one: a recorder listens to its targets too, but does not publish who has control."""
        listeners = self._to_executor.get_subscription_count()
        return bool(listeners and self._node.count_publishers(self._authority))

    def reason_to_hold(self) -> str:
        """Why no commands must be sent now; empty: none."""
        others = "" if self.has_executor else other_publishers_problem(self._node, self._to_arm)
        return others or self._refusals.reason_to_hold()

    def publish(self, stamp_ns: int, positions_rad: FloatArray) -> None:
        """Send a command (joints,) rad."""
        operator = self._node.get_fully_qualified_name()
        publisher = self._to_executor if self.has_executor else self._to_arm
        publisher.publish(joint_command_msg(self._joint_names, stamp_ns, positions_rad, operator))

    def close(self) -> None:
        self._refusals.close()
