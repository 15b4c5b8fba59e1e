# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SO-100/SO-101 arm on ROS: joint states and servo states out, joint commands in.

One thread writes each command when it arrives, and reads at a fixed rate. When the node is activated, torque is turned
on with the measured positions as goals, so the arm does not move. If the bus disconnects, it is opened again, and the
arm holds its pose. It also holds when no commands arrive, and when a servo is too hot.

One commander is obeyed at a time (`arm/command_admission.py`). Torque off, a disconnected bus, a servo that lost power
and a hot servo end its turn: it has to pause, and to start again from the arm's pose.

A joint whose servo does not answer is left out of `joint_states`: only measured values are published, neither zeros
nor old ones. Subscribers that need all joints refuse such a message, and notice by a timeout that none arrives.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.executors import Executor

from smolvla_ros.arm.arm_reading import ArmReading
from smolvla_ros.arm.command_admission import ArmPose
from smolvla_ros.arm.derating import Derating
from smolvla_ros.arm.feetech import BusError, FeetechBus, PortError
from smolvla_ros.arm.rest_pose import go_to_rest
from smolvla_ros.arm.servo_group import ArmError
from smolvla_ros.arm.so100 import So100Arm
from smolvla_ros.arm.so100_config import So100Config
from smolvla_ros.arrays import BoolArray, FloatArray
from smolvla_ros.node_configs import ArmConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.arm_commands import LOG_PERIOD_S, ArmCommands
from smolvla_ros.nodes.arm_health import servo_health
from smolvla_ros.nodes.messages import joint_state_msg, servo_states_msg
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.suite_node import (
    ERROR,
    OK,
    WARN,
    Health,
    SuiteNode,
    load_robot,
    next_deadline_s,
)
from smolvla_ros.robot import Joints
from smolvla_ros.settings import SettingError
from smolvla_ros.units import load_calibration

SERVO_STATES_PERIOD_S = 0.2
REOPEN_PERIOD_S = 1.0


class ArmNode(SuiteNode[ArmConfig]):
    """Publishes `joint_states` and `servo_states`, obeys `joint_commands`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("arm", ArmConfig, **options)
        self._arm: So100Arm | None = None
        self._read_due_s: float | None = None  # monotonic; None while not active
        self._servo_states_due_s = 0.0
        self._port_lost = False
        self._reconnects = 0
        self._commands: ArmCommands | None = None
        self._reading: ArmReading | None = None
        self._failure = ""

    def configure(self) -> None:
        config = self.config
        for name in ("port", "calibration"):
            if not getattr(config, name):
                description = ArmConfig.__dataclass_fields__[name].metadata["description"]
                raise ArmError(f"parameter `{name}` is empty; it is the {description}")
        self._robot = load_robot(config.robot)
        units = self._robot.units(load_calibration(config.calibration))
        if len(config.rest_pose_rad) != len(units):
            raise SettingError(
                f"rest_pose_rad: {len(config.rest_pose_rad)} angles, the robot has {len(units)} joints"
            )
        servos = So100Config(
            gripper=next(
                (joint.name for joint in self._robot.joints if joint.is_gripper), So100Config.gripper
            ),
            max_step_rad=config.max_step_rad,
            gripper_max_torque=config.gripper_max_torque,
            gripper_max_current_a=config.gripper_max_current_a,
        )
        self._arm = So100Arm(FeetechBus(config.port, config.baudrate, retries=config.retries), units, servos)
        self._derating = Derating(len(units), config.temperature_derate_c, config.temperature_stop_c)
        self._connect(self._arm)
        self._commands = ArmCommands(self, self._robot, config, 1.0 / config.rate_hz, self._pose, self._obey)
        self._joint_states = self.add_publisher(topics.JOINT_STATES)
        self._servo_states = self.add_publisher(topics.SERVO_STATES)

    def _connect(self, arm: So100Arm) -> None:
        report = arm.connect()
        for change in report.changes:
            self.get_logger().info(change)
        for warning in report.warnings:
            self.get_logger().warning(warning)
        self.get_logger().info(f"arm on {self.config.port}: {', '.join(arm.joint_names)} answer")

    def activate(self) -> None:
        assert self._arm is not None and self._commands is not None
        if not self._arm.bus.is_open:  # it was disconnected, and the node deactivated before it came back
            self._connect(self._arm)
        self._port_lost, self._failure, self._reading = False, "", None
        self._set_torque(self._arm)
        if self.config.role == "follower":
            self._commands.start()
        self._read_due_s = self._servo_states_due_s = time.monotonic()

    def deactivate(self) -> None:
        if self._commands is not None:
            self._commands.stop()
        self._read_due_s = None
        if self._arm is None or not self._arm.torque_enabled:
            return
        if self.config.on_deactivate == "hold":
            self._arm.hold(self._arm.read())
            self.get_logger().info("the arm holds its pose, its torque stays on")
            return
        if self.config.on_deactivate == "rest_pose":
            self.get_logger().info("moving to the rest pose")
            go_to_rest(  # raises ArmError if it fails, and the arm holds
                self._arm,
                np.array(self.config.rest_pose_rad),
                self.config.rest_speed_rad_s,
                1.0 / self.config.rate_hz,
                is_gripper=np.array([joint.is_gripper for joint in self._robot.joints]),
            )
        self._arm.disable_torque()

    def apply_parameters(self) -> None:
        if self._commands is not None:
            self._commands.admission.limits = self.config
        active_arm = None if self._read_due_s is None else self._arm
        if active_arm is not None and self.config.holds != active_arm.torque_enabled:
            self._try(self._set_torque)

    def _set_torque(self, arm: So100Arm) -> None:
        """Switch torque on, to hold the pose, or off, as configured."""
        assert self._commands is not None
        self._commands.interrupt("torque was off")
        if self.config.holds:
            arm.enable_torque()
            self.get_logger().info("torque is on, the arm holds its pose")
        else:
            arm.disable_torque()
            self.get_logger().info("torque is off, the arm can be moved by hand")

    def cleanup(self) -> None:
        if self._arm is not None:
            self._arm.close()
            self._arm = None
        if self._commands is not None:
            self._commands.stop()
            self._commands = None

    def diagnose(self) -> Health:
        if self._failure:
            return Health(ERROR, self._failure)
        reading, arm, commands = self._reading, self._arm, self._commands
        if reading is None or arm is None or commands is None:
            return Health(WARN, "no reading yet")
        if self.config.holds and not arm.torque_enabled:
            return Health(ERROR, "torque is off though it should be on; set parameter `torque` again")
        level, activity = commands.activity() if self.config.holds else (OK, "reading, torque is off")
        health = servo_health(self._robot.joint_names, reading, self.config, activity)
        refused = {f"commands refused: {why}": str(n) for why, n in commands.admission.refused.items()}
        values = health.values | {"reconnects": str(self._reconnects)} | refused
        return Health(max(health.level, level), health.message, values)

    def spin_step(self, executor: Executor) -> None:
        """Run callbacks, which write commands, until the next read is due; then read."""
        if self._read_due_s is None:
            super().spin_step(executor)
            return
        self.spin_until_deadline(executor, self._read_due_s)
        if self._read_due_s is None:  # deactivated meanwhile
            return
        if self._port_lost:
            self._try(self._reopen)
            self._read_due_s = time.monotonic() + (REOPEN_PERIOD_S if self._port_lost else 0.0)
            return
        self._try(self._read)
        self._read_due_s = next_deadline_s(self._read_due_s, 1.0 / self.config.rate_hz)

    def _pose(self) -> ArmPose | str:
        """The pose of the arm, or the reason why it refuses all commands."""
        if self._port_lost:
            return "the servo bus is disconnected"
        if self._arm is None or not self._arm.torque_enabled:
            return "torque is off"
        if self._derating.stopped.any():
            return self._too_hot()
        if self._reading is None:
            return "the servos have not been read yet"
        return ArmPose(self._reading.positions_rad, self._arm.goals_rad)

    def _obey(self, goals_rad: FloatArray, limited: BoolArray) -> None:
        self._try(lambda arm: self._write(arm, goals_rad, limited))

    def _write(self, arm: So100Arm, goals_rad: FloatArray, limited: BoolArray) -> None:
        clamped = arm.write(goals_rad) | limited
        if clamped.any():
            names = [name for name, yes in zip(arm.joint_names, clamped, strict=True) if yes]
            self.get_logger().warning(
                f"joint command clamped at {', '.join(names)}: outside the calibrated range, more than "
                f"max_step_rad {self.config.max_step_rad:.2f} from its measured position, or faster than "
                f"max_speed_rad_s {self.config.max_speed_rad_s:.2f} or the URDF's limit",
                throttle_duration_sec=LOG_PERIOD_S,
            )

    def _read(self, arm: So100Arm) -> None:
        stamp_ns = self.now_ns()
        reading = self._reading = arm.read()
        answered = reading.valid
        names = [name for name, valid in zip(arm.joint_names, answered, strict=True) if valid]
        joints = Joints(
            stamp_ns,
            reading.positions_rad[answered],
            reading.velocities_rad_s[answered],
            reading.load[answered],
        )
        self._joint_states.publish(joint_state_msg(names, joints))
        if (now_s := time.monotonic()) >= self._servo_states_due_s:
            self._servo_states_due_s = now_s + SERVO_STATES_PERIOD_S
            self._servo_states.publish(servo_states_msg(arm.joint_names, stamp_ns, reading))
        self._failure = ""
        self._watch(arm, reading)

    def _watch(self, arm: So100Arm, reading: ArmReading) -> None:
        """Restore servos that lost settings, limit the torque of hot ones, hold when no commands arrive."""
        if not arm.torque_enabled or self._commands is None:
            return
        if complaints := arm.restore(reading):
            self._failure = "; ".join(complaints.values())
            self.get_logger().error(self._failure, throttle_duration_sec=LOG_PERIOD_S)
        arm.limit_torque(self._derating.shares(reading.temperature_c))
        if not self._commands.admission.commander:
            return
        if reason := self._interruption(reading):
            self._commands.interrupt(reason)
        elif silent_s := self._commands.admission.drop_silent_commander(time.monotonic()):
            reason = f"no command for {silent_s:.1f} s"
        if reason:
            arm.hold(reading)
            self.get_logger().info(f"holding: {reason}")

    def _interruption(self, reading: ArmReading) -> str:
        """Why the turn of the commander ends; empty while it continues."""
        if self._derating.stopped.any():
            return self._too_hot()
        lost = reading.valid & ~reading.torque
        names = [name for name, yes in zip(self._robot.joint_names, lost, strict=True) if yes]
        return f"{', '.join(names)} had lost torque" if names else ""

    def _too_hot(self) -> str:
        names = [
            name for name, hot in zip(self._robot.joint_names, self._derating.stopped, strict=True) if hot
        ]
        return (
            f"{', '.join(names)} reached {self.config.temperature_stop_c:g} degC; goes on below "
            f"{self.config.temperature_derate_c:g}"
        )

    def _reopen(self, arm: So100Arm) -> None:
        """Open the bus again and hold the pose."""
        if self._commands is not None:
            self._commands.interrupt("the servo bus was disconnected")
        arm.close()
        self._connect(arm)
        self._set_torque(arm)
        self._port_lost = False
        self._reconnects += 1

    def _try(self, action: Callable[[So100Arm], None]) -> None:
        """Run an action on the arm; log its error. The main loop tries again."""
        assert self._arm is not None
        try:
            action(self._arm)
        except (BusError, ArmError) as error:
            self._port_lost = self._port_lost or isinstance(error, PortError)
            self._failure = str(error)
            self.get_logger().error(str(error), throttle_duration_sec=LOG_PERIOD_S)


def main() -> int:
    return run_node(ArmNode)


if __name__ == "__main__":
    sys.exit(main())
