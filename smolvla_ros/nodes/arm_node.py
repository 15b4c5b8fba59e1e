# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SO-100/SO-101 arm on ROS: joint states out, joint commands in, servo health beside them.

One thread does it all: it writes a command the moment it arrives and reads at a fixed rate. Nothing moves when the
node starts: torque comes on with the present position as goal, when the node is activated. A bus that goes away is
opened again, and again the arm holds where it stands. So it does when commands cease, and when a servo is too hot.

A joint whose servo does not answer is left out of `joint_states`, and the message is then shorter: nothing is published
that was not measured, neither zeros nor the value of before. Who needs all joints refuses such a message and notices
by its own time-out that none comes.
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

from smolvla_ros.arm.arm_reading import ArmReading
from smolvla_ros.arm.derating import Derating
from smolvla_ros.arm.feetech import BusError, FeetechBus, PortError
from smolvla_ros.arm.so100 import ArmError, So100Arm
from smolvla_ros.arm.so100_config import So100Config
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.arm_health import ServoThresholds, judge
from smolvla_ros.nodes.messages import joint_state_msg, servo_states_msg
from smolvla_ros.nodes.running import run
from smolvla_ros.nodes.suite_node import (
    ERROR,
    WARN,
    Health,
    SuiteNode,
    load_robot,
    next_deadline_s,
)
from smolvla_ros.robot import Joints
from smolvla_ros.settings import SettingError, setting
from smolvla_ros.units import RAD_PER_TICK, load_calibration
from smolvla_ros.wire import WireError, joints_from_msg

SERVO_STATES_PERIOD_S = 0.2
REOPEN_PERIOD_S = 1.0
LOG_PERIOD_S = 2.0
ARRIVAL_S = 2.0  # a joint may come so late to the rest pose,
ARRIVED_RAD = 0.1  # and this near it has come


@dataclass(frozen=True)
class ArmConfig(ServoThresholds):
    """Parameters of the arm node."""

    robot: str = setting("", "robot file (config/so100.yaml): joints, servo ids, directions, limits")
    port: str = setting("", "serial port of the servo bus, best as /dev/serial/by-id/...")
    baudrate: int = setting(1_000_000, "baud rate of the servo bus", minimum=9600, maximum=1_000_000)
    calibration: str = setting("", "LeRobot calibration JSON of this arm")
    rate_hz: float = setting(50.0, "joint states per second", minimum=1.0, maximum=200.0)
    retries: int = setting(3, "how often a servo is asked again before it is given up", minimum=0, maximum=20)
    role: str = setting(
        "follower",
        "a follower obeys joint commands, a leader is moved by hand and only read",
        choices=("follower", "leader"),
    )
    torque: bool = setting(
        True, "hold and move while active; false: it goes limp and is guided by hand", live=True
    )
    max_step_rad: float = setting(
        0.5,
        "how far from its measured position a joint may be sent at once",
        minimum=0.01,
        maximum=2 * np.pi,
    )
    command_timeout_s: float = setting(
        0.5, "without a command for so long the arm stops and holds", minimum=0.05, maximum=60.0, live=True
    )
    gripper_max_torque: float = setting(
        0.5, "share of its torque that the gripper may use", minimum=0.05, maximum=1.0
    )
    gripper_max_current_a: float = setting(
        1.625, "current at which the gripper protects itself", minimum=0.1, maximum=3.2
    )
    on_deactivate: str = setting(
        "release",
        "what the arm does when the node stops: let go, hold its pose, or go to rest_pose_rad and let go there",
        choices=("release", "hold", "rest_pose"),
        live=True,
    )
    rest_pose_rad: tuple[float, ...] = setting(
        (0.0, 0.15, -0.15, 0.7, 0.0, 0.2), "where the arm can let go and not drop, by joint of the robot file"
    )
    rest_speed_rad_s: float = setting(
        0.8, "speed on the way to rest_pose_rad", minimum=0.05, maximum=3.0, live=True
    )

    @property
    def holds(self) -> bool:
        """Whether it holds its pose and obeys; else it is limp."""
        return self.torque and self.role == "follower"


class ArmNode(SuiteNode[ArmConfig]):
    """Publishes `joint_states` and `servo_states`, obeys `joint_commands`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("arm", ArmConfig, **options)
        self._arm: So100Arm | None = None
        self._read_due_s: float | None = None  # monotonic; None while not active
        self._servo_states_due_s = 0.0
        self._port_lost = False
        self._reconnects = 0
        self._command_s: float | None = None  # monotonic, when the arm was told to move last; None: it holds
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
        if len(config.rest_pose_rad) != len(units):
            raise SettingError(
                f"rest_pose_rad: {len(config.rest_pose_rad)} angles, the robot has {len(units)} joints"
            )
        servos = So100Config(
            max_step_rad=config.max_step_rad,
            gripper_max_torque=config.gripper_max_torque,
            gripper_max_current_a=config.gripper_max_current_a,
        )
        self._arm = So100Arm(FeetechBus(config.port, config.baudrate, retries=config.retries), units, servos)
        self._derating = Derating(len(units), config.temperature_derate_c, config.temperature_stop_c)
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
        if self.config.holds:
            self._arm.enable_torque()
            self._listen()
        else:
            self._arm.release()
        self._port_lost, self._failure, self._command_s = False, "", None
        self._read_due_s = self._servo_states_due_s = time.monotonic()

    def deactivate(self) -> None:
        self._be_deaf()
        self._read_due_s = None
        if self._arm is None or not self._arm.torque_enabled or self.config.on_deactivate == "hold":
            return
        if self.config.on_deactivate == "rest_pose":
            self._go_to_rest(self._arm)  # raises, and the arm holds, if something is amiss
        self._arm.release()

    def reconfigure(self) -> None:
        if self._read_due_s is not None:
            self._try(self._switch_torque)

    def _switch_torque(self, arm: So100Arm) -> None:
        if self.config.holds and not arm.torque_enabled:
            arm.enable_torque()
            self._listen()
        elif not self.config.holds and arm.torque_enabled:
            self._be_deaf()
            arm.release()

    def _listen(self) -> None:
        """Take commands."""
        self._be_deaf()
        topic = topics.JOINT_COMMANDS
        self._commands = self.create_subscription(topic.type, topic.name, self._on_command, topic.subscribe)

    def _be_deaf(self) -> None:
        """Take none."""
        if self._commands is not None:
            self.destroy_subscription(self._commands)
            self._commands = None
        self._command_s = None

    def _go_to_rest(self, arm: So100Arm) -> None:
        """Move to the rest pose, all joints together. ArmError if it does not get there: then the arm holds."""
        start_rad = arm.read().positions_rad
        if np.isnan(start_rad).any():
            raise ArmError("no way to the rest pose, not all servos answer; the arm holds")
        way_rad = np.array(self.config.rest_pose_rad) - start_rad
        duration_s = float(np.abs(way_rad).max()) / self.config.rest_speed_rad_s
        self.get_logger().info(f"to the rest pose, {duration_s:.1f} s")
        grips = [joint.grips for joint in self._robot.joints]
        goal_ticks: npt.NDArray[np.int64] = np.full(len(way_rad), -1)
        start_s = due_s = time.monotonic()
        while (since_s := time.monotonic() - start_s) < duration_s + ARRIVAL_S:
            arm.write(start_rad + way_rad * min(1.0, since_s / duration_s if duration_s else 1.0))
            reading = arm.read()
            if complaints := arm.restore(reading):
                raise ArmError(f"stopped on the way to the rest pose: {'; '.join(complaints.values())}")
            behind_rad = np.abs(reading.goal_ticks - reading.position_ticks) * RAD_PER_TICK
            # A goal that still moves is not the last one: max_step_rad keeps each near the arm.
            arrived = (behind_rad < ARRIVED_RAD) & (reading.goal_ticks == goal_ticks)
            goal_ticks = reading.goal_ticks
            if since_s >= duration_s and reading.valid.all() and (arrived | grips).all():
                return
            due_s = next_deadline_s(due_s, 1.0 / self.config.rate_hz)
            time.sleep(max(0.0, due_s - time.monotonic()))
        raise ArmError("the arm did not get to its rest pose and holds; is something in its way?")

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
        reading, arm = self._reading, self._arm
        if reading is None or arm is None:
            return Health(WARN, "no reading yet")
        if self.config.holds and not arm.torque_enabled:
            return Health(ERROR, "torque is off though it should be on; set parameter `torque` again")
        health = judge(self._robot.joint_names, reading, self.config, self._activity())
        return Health(health.level, health.message, health.values | {"reconnects": str(self._reconnects)})

    def _activity(self) -> str:
        if not self.config.holds:
            return "reading, torque is off"
        return "holding, no commands" if self._command_s is None else "following commands"

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
        if self._port_lost:  # until the bus is back, a command is of the past
            self._warn("joint command refused: the servo bus is gone")
        elif self._derating.stopped.any():
            self._warn(f"joint command refused: {self._too_hot()}")
        else:
            self._try(lambda arm: self._write(arm, goal_rad))

    def _write(self, arm: So100Arm, goal_rad: npt.NDArray[np.float64]) -> None:
        clamped = arm.write(goal_rad)
        self._command_s = time.monotonic()
        if clamped.any():
            names = [name for name, yes in zip(arm.joint_names, clamped, strict=True) if yes]
            self._warn(
                f"joint command clamped at {', '.join(names)}: outside the calibrated range, or more than "
                f"max_step_rad {self.config.max_step_rad:.2f} from where it stands"
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
        """Repair what servos have missed, spare the hot ones, stop when commands have ceased."""
        if not arm.torque_enabled:
            return
        if complaints := arm.restore(reading):
            self._failure = "; ".join(complaints.values())
            self.get_logger().error(self._failure, throttle_duration_sec=LOG_PERIOD_S)
        arm.limit_torque(self._derating.shares(reading.temperature_c))
        if self._command_s is None:
            return
        silent_s = time.monotonic() - self._command_s
        if self._derating.stopped.any():
            reason = self._too_hot()
        elif silent_s > self.config.command_timeout_s:
            reason = f"no command for {silent_s:.1f} s"
        else:
            return
        arm.hold(reading)
        self._command_s = None
        self.get_logger().info(f"holding: {reason}")

    def _too_hot(self) -> str:
        names = [
            name for name, hot in zip(self._robot.joint_names, self._derating.stopped, strict=True) if hot
        ]
        return (
            f"{', '.join(names)} reached {self.config.temperature_stop_c:g} degC; goes on below "
            f"{self.config.temperature_derate_c:g}"
        )

    def _reopen(self, arm: So100Arm) -> None:
        """Open the bus again and hold where the arm stands."""
        arm.close()
        self._connect(arm)
        if self.config.holds:
            arm.enable_torque()
        else:
            arm.release()
        self._port_lost = False
        self._command_s = None
        self._reconnects += 1

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
