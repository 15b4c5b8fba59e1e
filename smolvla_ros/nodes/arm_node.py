# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SO-100/SO-101 arm on ROS: joint states out, joint commands in, servo health beside them.

One thread does it all: it writes a command the moment it arrives and reads at a fixed rate. Nothing moves when the
node starts: torque comes on with the present position as goal, when the node is activated. A bus that goes away is
opened again, and again the arm holds where it stands.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.executors import Executor

from smolvla_ros.arm.feetech import BusError, FeetechBus, PortError
from smolvla_ros.arm.so100 import ArmError, ArmReading, So100Arm
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import joint_state_msg, servo_states_msg
from smolvla_ros.nodes.running import run
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
from smolvla_ros.settings import check_settings, setting
from smolvla_ros.units import load_calibration
from smolvla_ros.wire import WireError, joints_from_msg

SERVO_STATES_PERIOD_S = 0.2
REOPEN_PERIOD_S = 1.0
LOG_PERIOD_S = 2.0


@dataclass(frozen=True)
class ArmConfig:
    """Parameters of the arm node."""

    robot: str = setting("", "robot file (config/so100.yaml): joints, servo ids, directions, limits")
    port: str = setting("", "serial port of the servo bus, best as /dev/serial/by-id/...")
    baudrate: int = setting(1_000_000, "baud rate of the servo bus", minimum=9600, maximum=1_000_000)
    calibration: str = setting("", "LeRobot calibration JSON of this arm")
    rate_hz: float = setting(50.0, "joint states per second", minimum=1.0, maximum=200.0)
    torque: bool = setting(True, "hold and move while active; false only reads, the arm can be moved by hand")
    on_deactivate: str = setting(
        "release",
        "what the arm does when the node stops: let go, or hold its pose",
        choices=("release", "hold"),
    )

    def __post_init__(self) -> None:
        check_settings(self)


class ArmNode(SuiteNode[ArmConfig]):
    """Publishes `joint_states` and `servo_states`, obeys `joint_commands`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("arm", ArmConfig, **options)
        self._arm: So100Arm | None = None
        self._read_due_s: float | None = None  # monotonic; None while not active
        self._servo_states_due_s = 0.0
        self._port_lost = False
        self._commands: Any = None
        self._joint_states: Any = None
        self._servo_states: Any = None
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
        self._arm = So100Arm(FeetechBus(config.port, config.baudrate), units)
        self._connect(self._arm)
        self._joint_states, self._servo_states = (
            self.create_lifecycle_publisher(topic.type, topic.name, topic.publish)
            for topic in (topics.JOINT_STATES, topics.SERVO_STATES)
        )

    def _connect(self, arm: So100Arm) -> None:
        report = arm.connect()
        for change in report.changes:
            self.get_logger().info(change)
        for warning in report.warnings:
            self.get_logger().warning(warning)
        self.get_logger().info(f"arm on {self.config.port}: {', '.join(arm.joint_names)} answer")

    def activate(self) -> None:
        assert self._arm is not None
        if self.config.torque:
            self._arm.enable_torque()
            topic = topics.JOINT_COMMANDS
            self._commands = self.create_subscription(
                topic.type, topic.name, self._on_command, topic.subscribe
            )
        self._port_lost, self._failure = False, ""
        self._read_due_s = self._servo_states_due_s = time.monotonic()

    def deactivate(self) -> None:
        if self._commands is not None:
            self.destroy_subscription(self._commands)
            self._commands = None
        self._read_due_s = None
        if self._arm is not None and self._arm.torque_enabled and self.config.on_deactivate == "release":
            self._arm.release()

    def cleanup(self) -> None:
        if self._arm is not None:
            self._arm.close()
            self._arm = None
        for publisher in (self._joint_states, self._servo_states):
            if publisher is not None:
                self.destroy_lifecycle_publisher(publisher)
        self._joint_states = self._servo_states = None

    def diagnose(self) -> Health:
        if self._failure:
            return Health(ERROR, self._failure)
        reading = self._reading
        if reading is None:
            return Health(WARN, "no reading yet")
        values = {
            "hottest servo (degC)": f"{np.nanmax(reading.temperature_c, initial=-1):.0f}",
            "lowest voltage (V)": f"{np.nanmin(reading.voltage_v, initial=99):.1f}",
            "retries": str(int(reading.retries.sum())),
            "communication errors": str(int(reading.communication_errors.sum())),
        }
        faults = reading.faults(self._robot.joint_names)
        if faults:
            return Health(
                ERROR, "; ".join(f"{name}: {', '.join(what)}" for name, what in faults.items()), values
            )
        if reading.failures:
            return Health(WARN, "; ".join(reading.failures.values()), values)
        return Health(OK, "reading and writing" if self.config.torque else "reading", values)

    def turn(self, executor: Executor) -> None:
        """Obey commands until the next read is due, then read."""
        if self._read_due_s is None:
            super().turn(executor)
            return
        self.turn_until(executor, self._read_due_s)
        if self._read_due_s is None:  # deactivated meanwhile
            return
        if self._port_lost:
            self._try(self._reopen)
            self._read_due_s = time.monotonic() + (REOPEN_PERIOD_S if self._port_lost else 0.0)
            return
        self._try(self._read)
        self._read_due_s = next_deadline_s(self._read_due_s, 1.0 / self.config.rate_hz)

    def _on_command(self, message: Any) -> None:
        try:
            goal_rad = joints_from_msg(message, self._robot.joint_names).positions_rad
        except WireError as error:
            self._warn(f"joint command refused: {error}")
            return
        if not self._port_lost:  # until the bus is back, a command is of the past
            self._try(lambda arm: self._write(arm, goal_rad))

    def _write(self, arm: So100Arm, goal_rad: npt.NDArray[np.float64]) -> None:
        if arm.write(goal_rad).any():
            self._warn("joint command outside the calibrated range, clamped")

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
        # Silent servos are left out: nothing is published that was not measured.
        self._joint_states.publish(joint_state_msg(names, joints))
        if (now_s := time.monotonic()) >= self._servo_states_due_s:
            self._servo_states_due_s = now_s + SERVO_STATES_PERIOD_S
            self._servo_states.publish(servo_states_msg(arm.joint_names, stamp_ns, reading))
        self._failure = ""

    def _reopen(self, arm: So100Arm) -> None:
        """Open the bus again and hold where the arm stands."""
        arm.close()
        self._connect(arm)
        if self.config.torque:
            arm.enable_torque()
        self._port_lost = False

    def _try(self, action: Callable[[So100Arm], None]) -> None:
        """Do something with the arm; what fails is said, and the next turn tries again."""
        assert self._arm is not None
        try:
            action(self._arm)
        except (BusError, ArmError) as error:
            self._port_lost = self._port_lost or isinstance(error, PortError)
            self._failure = str(error)
            self.get_logger().error(str(error), throttle_duration_sec=LOG_PERIOD_S)

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=LOG_PERIOD_S)


def main() -> int:
    return run(ArmNode)


if __name__ == "__main__":
    sys.exit(main())
