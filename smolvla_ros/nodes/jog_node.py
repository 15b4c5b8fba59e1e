# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The topics of `jog`: joint states in, commands out."""

from __future__ import annotations

from typing import Any

from smolvla_ros.execution.jog import Jog
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.nodes.operator_commands import OperatorCommands
from smolvla_ros.robot import RobotSpec
from smolvla_ros.wire import WireError, joints_from_msg


class JogNode:
    """Keeps the newest joint states for `jog` and publishes its commands."""

    def __init__(self, client: ClientNode, jog: Jog, robot: RobotSpec) -> None:
        self._client, self._jog, self._joint_names = client, jog, robot.joint_names
        client.subscribe(topics.JOINT_STATES, self._on_joint_states)
        self._commands = OperatorCommands(client.node, client.publisher, robot.joint_names)

    def publish_command(self) -> str:
        """Publish the command of this control period, if there is one; returns the note about it."""
        now_ns = self._client.now_ns()
        command, note = self._jog.command(now_ns, self._commands.reason_to_hold())
        if command is not None:
            self._commands.publish(now_ns, command)
        return note

    def _on_joint_states(self, message: Any) -> None:
        try:
            self._jog.joints = joints_from_msg(message, self._joint_names)
        except WireError:
            self._jog.joints = None
