# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Teleoperation on ROS: joint states of a leader arm in, joint commands of a follower out, at a fixed rate.

The executor publishes on `joint_commands` too. While there is another publisher, or while the arm node refuses the
commands, the follower holds; then it starts softly from its pose.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from rclpy.executors import Executor

from smolvla_ros.execution.safety import SafetyError
from smolvla_ros.execution.teleoperation import Teleoperation
from smolvla_ros.node_configs import TeleopConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import other_publishers_problem
from smolvla_ros.nodes.command_refusals import CommandRefusals
from smolvla_ros.nodes.messages import joint_command_msg
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.suite_node import OK, WARN, Health, SuiteNode, load_robot, next_deadline_s
from smolvla_ros.units import CalibrationError, load_calibration
from smolvla_ros.wire import WireError, joints_from_msg

LOG_PERIOD_S = 2.0


class TeleopNode(SuiteNode[TeleopConfig]):
    """Subscribes to `leader/joint_states` and `joint_states`, publishes `joint_commands`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("teleop", TeleopConfig, **options)
        self._deadline_s: float | None = None  # of the next command (monotonic); None while not active
        self._refusals: CommandRefusals | None = None
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
        self._commands = self.add_publisher(topics.JOINT_COMMANDS)
        self.add_subscription(topics.LEADER_JOINT_STATES, self._keep("leader"))
        self.add_subscription(topics.JOINT_STATES, self._keep("follower"))
        self._refusals = CommandRefusals(self)

    def activate(self) -> None:
        self._deadline_s = time.monotonic()

    def deactivate(self) -> None:
        self._deadline_s = None

    def cleanup(self) -> None:
        if self._refusals is not None:
            self._refusals.close()
            self._refusals = None

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
        reason = other_publishers_problem(self, self._commands)
        if self._refusals is not None:
            reason = reason or self._refusals.reason_to_hold()
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
            commander = self.get_fully_qualified_name()
            self._commands.publish(joint_command_msg(self._robot.joint_names, stamp_ns, command, commander))

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
