# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Teleoperation on ROS: joint states of a leader arm in, commands of a follower out, at a fixed rate.

Beside an executor, the leader takes control from the policy when it is moved (`take_over_motion_rad`), until control is
given back. Without one the commands go to the arm. While they are refused, or another program commands the arm, the
follower holds; then it starts softly from its pose.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from rclpy.executors import Executor
from std_msgs.msg import String

from smolvla_ros.authority import Authority
from smolvla_ros.execution.safety import SafetyError
from smolvla_ros.execution.teleoperation import Teleoperation
from smolvla_ros.node_configs import TeleopConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.operator_commands import OperatorCommands
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.suite_node import OK, WARN, Health, SuiteNode, load_robot, next_deadline_s
from smolvla_ros.units import CalibrationError, load_calibration
from smolvla_ros.wire import WireError, joints_from_msg

LOG_PERIOD_S = 2.0


class TeleopNode(SuiteNode[TeleopConfig]):
    """Subscribes to `leader/joint_states` and `joint_states`, publishes `operator_targets` or `joint_commands`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("teleop", TeleopConfig, **options)
        self._deadline_s: float | None = None  # of the next command (monotonic); None while not active
        self._commands: OperatorCommands | None = None
        self._pause = ""

    def configure(self) -> None:
        config = self.config
        self._robot = load_robot(config.robot)
        for name in ("calibration", "leader_calibration"):
            if not getattr(config, name):
                raise CalibrationError(
                    f"parameter `{name}` is empty; both arms need LeRobot's calibration file"
                )
        leader, follower = (
            self._robot.units(load_calibration(file))
            for file in (config.leader_calibration, config.calibration)
        )
        self.teleoperation = Teleoperation(config, self._robot, leader, follower)
        self._has_executor = False
        self.add_subscription(topics.LEADER_JOINT_STATES, self._keep("leader"))
        self.add_subscription(topics.JOINT_STATES, self._keep("follower"))
        self.add_subscription(topics.CONTROL_AUTHORITY, self._on_control_authority)
        self._commands = OperatorCommands(self, self.add_publisher, self._robot.joint_names)

    def activate(self) -> None:
        self._deadline_s = time.monotonic()

    def deactivate(self) -> None:
        self._deadline_s = None

    def cleanup(self) -> None:
        if self._commands is not None:
            self._commands.close()
            self._commands = None

    def diagnose(self) -> Health:
        return Health(WARN, f"holding: {self._pause}") if self._pause else Health(OK, "following")

    def spin_step(self, executor: Executor) -> None:
        """Run callbacks until the next command is due, then send it."""
        if self._deadline_s is None:
            super().spin_step(executor)
            return
        self.spin_until_deadline(executor, self._deadline_s)
        if self._deadline_s is None:  # deactivated meanwhile
            return
        self._step()
        self._deadline_s = next_deadline_s(self._deadline_s, 1.0 / self.config.rate_hz)

    def _step(self) -> None:
        assert self._commands is not None
        reason, has_executor = self._commands.reason_to_hold(), self._commands.has_executor
        if has_executor != self._has_executor or (has_executor and reason):
            self.teleoperation.wait_for_motion()
        self._has_executor = has_executor
        stamp_ns = self.now_ns()
        try:
            command = self.teleoperation.step(stamp_ns, reason)
        except SafetyError as error:
            self.get_logger().error(str(error), throttle_duration_sec=LOG_PERIOD_S)
            return
        if self.teleoperation.pause != self._pause:
            self._pause = self.teleoperation.pause
            self.get_logger().info(f"holding: {self._pause}" if self._pause else "the follower follows")
        if command is not None:
            self._commands.publish(stamp_ns, command)

    def _on_control_authority(self, message: String) -> None:
        """Control has changed hands."""
        if message.data != Authority.OPERATOR.value:
            self.teleoperation.wait_for_motion()
        elif not self.config.take_over_motion_rad:
            self.teleoperation.lead()

    def _keep(self, role: str) -> Callable[[Any], None]:
        """A callback that keeps the newest joints of one arm."""

        def keep(message: Any) -> None:
            try:
                setattr(self.teleoperation, role, joints_from_msg(message, self._robot.joint_names))
            except WireError as error:
                self.get_logger().warning(f"{role}: {error}", throttle_duration_sec=LOG_PERIOD_S)

        return keep


def main() -> int:
    return run_node(TeleopNode)


if __name__ == "__main__":
    sys.exit(main())
