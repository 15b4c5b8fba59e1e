# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscribes to `joint_commands` for the arm node: each is attributed to a commander, and admitted or refused.

rclpy does not tell a subscriber who published a message, so a commander writes the full name of its node into
header.frame_id. A message without a name is attributed to the only publisher; with several publishers it is refused.
A commander that has to pause is informed on `refused_commander` (key: its name, value: the reason).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import KeyValue

from smolvla_ros.arm.command_admission import (
    SHOWN_CHARACTERS,
    ArmPose,
    CommandAdmission,
    CommandError,
    CommandLimits,
    JointCommand,
    only_commander,
)
from smolvla_ros.arrays import BoolArray, FloatArray
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.suite_node import OK, WARN
from smolvla_ros.robot import RobotSpec
from smolvla_ros.wire import WireError, joints_from_msg

LOG_PERIOD_S = 2.0  # between two log lines for the same reason


class ArmCommands:
    """Subscribes to `joint_commands` between `start` and `stop`, and passes admitted commands on.

    get_pose(): the pose of the arm, or why it refuses all commands. obey(goals, limited): called with goals (joints,)
    rad and which of them (joints,) the speed limit has changed.
    """

    def __init__(
        self,
        node: Any,
        robot: RobotSpec,
        limits: CommandLimits,
        period_s: float,
        get_pose: Callable[[], ArmPose | str],
        obey: Callable[[FloatArray, BoolArray], None],
    ) -> None:
        self.admission = CommandAdmission(limits, robot.joint_names, robot.max_speed_rad_s, period_s)
        self._node = node
        self._joint_names = robot.joint_names
        self._get_pose = get_pose
        self._obey = obey
        self._subscription: Any = None
        self._logged_s: dict[str, float] = {}  # by reason
        self._refusals = node.add_publisher(topics.REFUSED_COMMANDER)

    def start(self) -> None:
        self.stop()
        topic = topics.JOINT_COMMANDS
        self._subscription = self._node.create_subscription(
            topic.type, topic.name, self._on_command, topic.subscribe
        )

    def stop(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        self.interrupt("the arm node was not active")

    def interrupt(self, why: str) -> None:
        """End the turn of the current commander: it has to pause, and to start again from the arm's pose."""
        self.admission.interrupt(why, time.monotonic())

    def activity(self) -> tuple[bytes, str]:
        """Level and message for /diagnostics: which commander is obeyed, or which is refused and why."""
        if self.admission.commander:
            return OK, f"following {self.admission.commander[:SHOWN_CHARACTERS]}"
        if (waiting := self.admission.refused_commander(time.monotonic())) is None:
            return OK, "holding, no commands"
        commander, why = waiting
        return WARN, f"holding, {commander[:SHOWN_CHARACTERS]} is not obeyed: {why}"

    def _on_command(self, message: Any, info: dict[str, Any]) -> None:
        before = self.admission.commander
        try:
            command = JointCommand(
                commander=message.header.frame_id or self._only_publisher(),
                goals=joints_from_msg(message, self._joint_names),
                sequence=info.get("publication_sequence_number"),
            )
            goals_rad, limited = self.admission.admit(
                command, self._node.now_ns(), time.monotonic(), self._get_pose()
            )
        except WireError as error:
            self._log("malformed", str(error))
        except CommandError as error:
            self._log(error.reason, str(error))
            if error.pause:
                self._refusals.publish(KeyValue(key=command.commander, value=error.pause))
        else:
            if self.admission.commander != before:
                self._node.get_logger().info(f"obeying {command.shown_commander}")
            self._obey(goals_rad, limited)

    def _only_publisher(self) -> str:
        publishers = self._node.get_publishers_info_by_topic(self._subscription.topic_name)
        return only_commander((p.node_namespace, p.node_name) for p in publishers)

    def _log(self, reason: str, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._logged_s.get(reason, -LOG_PERIOD_S) >= LOG_PERIOD_S:
            self._logged_s[reason] = now_s
            self._node.get_logger().warning(f"joint command refused: {text}")
