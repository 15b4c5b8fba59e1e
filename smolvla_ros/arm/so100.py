# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SO-100 arm on its bus: positions in radians are read and written.

Connecting moves no joint, and takes the torque only from servos whose EEPROM must change. The arm holds its position
when torque comes on. Every goal is clamped to the calibrated range and to a step from the measured position. Speed
limits and ramps are in `execution/safety.py`. No clock and no threads.

Goals are broadcast, and no servo acknowledges them. Each reading contains what the servos hold, so `restore` can
write again what a servo has missed, or lost when its power dipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from smolvla_ros.arm.arm_reading import ArmReading
from smolvla_ros.arm.feetech import BusError, FeetechBus
from smolvla_ros.arm.registers import CURRENT_UNIT_A, TELEMETRY, fault_remedies
from smolvla_ros.arm.servo_group import ArmError, ServoGroup
from smolvla_ros.arm.servo_setup import ConnectReport, set_up_servos
from smolvla_ros.arm.so100_config import So100Config
from smolvla_ros.arrays import BoolArray, FloatArray, IntArray
from smolvla_ros.units import RAD_PER_TICK, JointUnits, MotorCalibration

HOLD_TOLERANCE_RAD = 0.1  # a joint this near its goal keeps the goal: it holds against its load already
MAX_MISSED_WRITES = 3  # in a row; one more is reported as a failure
MAX_READINGS = 10  # before torque comes on: on a busy computer the first answers may come too late


class So100Arm:
    """Six servos as one arm. Each of `units` needs its calibration, which also says the servo's id.

    Methods raise BusError (PortError when the port is gone) or ArmError. After a PortError, `connect` again.
    """

    def __init__(
        self, bus: FeetechBus, units: Sequence[JointUnits], config: So100Config | None = None
    ) -> None:
        self.bus = bus
        self.units = tuple(units)
        self.config = config or So100Config()
        self.joint_names = tuple(joint.name for joint in self.units)
        self._servos = ServoGroup(bus, self.units)
        self.servo_ids = self._servos.ids
        self._torque_enabled = False
        self._full_limits: dict[int, int] = {}  # servo id -> Torque_Limit without derating
        self._wanted: dict[str, dict[int, int]] = {}  # register -> what every servo should hold
        self._measured: dict[int, int] = {}  # servo id -> its latest position in ticks
        self._repeated = dict.fromkeys(self.servo_ids, 0)
        self._missed_in_a_row = dict.fromkeys(self.servo_ids, 0)

    @property
    def goals_rad(self) -> FloatArray:
        """The newest goals, shape (joints,); only while torque is on."""
        goals = self._wanted["Goal_Position"]
        pairs = zip(self.units, self.servo_ids, strict=True)
        return np.array([joint.ticks_to_rad(float(goals[servo_id])) for joint, servo_id in pairs])

    @property
    def torque_enabled(self) -> bool:
        """Whether `enable_torque` succeeded and nothing undid it."""
        return self._torque_enabled and self.bus.is_open

    def connect(self) -> ConnectReport:
        """Open the bus, check the servos and set them up. Nothing moves and equal EEPROM is not written.

        Torque goes off first at a servo whose EEPROM must change. Raises ArmError on a missing servo, a wrong model or
        when servos and calibration file disagree, and closes the bus again.
        """
        self._torque_enabled = False
        self.bus.open()
        try:
            warnings = self._servos.find()  # with short timeouts: an arm without power is reported soon
            with self.bus.long_timeouts():
                report, self._full_limits = set_up_servos(self._servos, self.config, warnings)
        except BaseException:
            self.bus.close()
            raise
        return report

    def enable_torque(self) -> None:
        """Hold the present pose: goals are set to the present positions before torque comes on.

        A servo whose torque is on already keeps its goal. Raises ArmError if a servo does not answer, reports a fault,
        or is outside its range (it would jump back).
        """
        with self.bus.long_timeouts():
            for _ in range(MAX_READINGS):
                reading = self.read()
                if reading.valid.all():
                    break
        refusals = list(reading.failures.values())
        refusals += [f"{name} reports {', '.join(f)}" for name, f in reading.faults(self.joint_names).items()]
        margin_ticks = self.config.outside_range_rad / RAD_PER_TICK
        for index, motor in enumerate(self._servos.motors):
            tick = int(reading.position_ticks[index])
            if reading.valid[index] and abs(tick - self._within_range(motor, tick)) > margin_ticks:
                refusals.append(
                    f"{self._servos.labels[index]} stands at {tick}, outside its calibrated range {motor.range_min} "
                    f".. {motor.range_max}; move it by hand into the range or calibrate again"
                )
        if refusals:
            raise ArmError(f"torque stays off: {'; '.join(refusals)}")
        goals = self._holding_goals(reading)
        # torque that was on stays on, even if another servo fails
        was_on = dict(zip(self.servo_ids, reading.torque, strict=True))
        with self.bus.long_timeouts():
            try:
                self._servos.write("Goal_Position", goals)
                self._servos.write("Torque_Enable", dict.fromkeys(self.servo_ids, 1))
            except (ArmError, BusError):
                with suppress(ArmError, BusError):  # the first error is the one to report
                    self._servos.write("Torque_Enable", {i: 0 for i, on in was_on.items() if not on})
                raise
        self._torque_enabled = True
        self._wanted = {"Goal_Position": goals, "Torque_Limit": dict(self._full_limits)}

    def disable_torque(self) -> None:
        """Torque off, confirmed by every servo; the arm drops. Raises ArmError naming those that did not."""
        self._torque_enabled = False
        with self.bus.long_timeouts():
            self._servos.write("Torque_Enable", dict.fromkeys(self.servo_ids, 0))

    def read(self) -> ArmReading:
        """All telemetry in one transaction; servos that do not answer are marked, no error is raised."""
        reply = self.bus.sync_read(self.servo_ids, TELEMETRY)
        empty = dict.fromkeys(TELEMETRY, 0)
        rows = [reply.values.get(servo_id, empty) for servo_id in self.servo_ids]
        valid = np.array([servo_id in reply.values for servo_id in self.servo_ids])
        directions = np.array([joint.direction for joint in self.units])
        counters = [self.bus.counters[servo_id] for servo_id in self.servo_ids]

        def column(name: str) -> IntArray:
            return np.array([row[name] for row in rows], dtype=np.int64)

        def measured(values: npt.NDArray[np.generic]) -> FloatArray:
            return np.where(valid, values, np.nan)

        self._measured |= {servo_id: values["Present_Position"] for servo_id, values in reply.values.items()}
        ticks = column("Present_Position")
        positions = [joint.ticks_to_rad(float(tick)) for joint, tick in zip(self.units, ticks, strict=True)]
        return ArmReading(
            valid=valid,
            positions_rad=measured(np.array(positions)),
            velocities_rad_s=measured(directions * column("Present_Velocity") * RAD_PER_TICK),
            load=measured(directions * column("Present_Load") / 1000),
            voltage_v=measured(column("Present_Voltage") / 10),
            temperature_c=measured(column("Present_Temperature")),
            current_a=measured(column("Present_Current") * CURRENT_UNIT_A),
            moving=column("Moving") != 0,
            torque=column("Torque_Enable") != 0,
            position_ticks=np.where(valid, ticks, -1),
            goal_ticks=np.where(valid, column("Goal_Position"), -1),
            torque_limits=np.where(valid, column("Torque_Limit"), -1),
            error_bits=column("Status") | np.array([counter.error_bits for counter in counters]),
            retries=np.array([counter.retries for counter in counters]),
            communication_errors=np.array([counter.communication_errors for counter in counters]),
            repeated_writes=np.array(list(self._repeated.values())),
            failures=self._servos.failures(reply),
        )

    def write(self, goal_rad: FloatArray) -> BoolArray:
        """Send goals, shape (joints,), clamped to range and step; returns which were clamped, shape (joints,).

        The step counts from the latest measured position, so the goal of a joint that no longer answers stays near it.
        Raises ArmError for a goal that is not finite, and while torque is off: some firmware turns torque on
        by itself when it receives a goal.
        """
        goal_rad = np.asarray(goal_rad, dtype=np.float64)
        if goal_rad.shape != (len(self.units),):
            raise ArmError(f"goal has shape {goal_rad.shape}, the arm has {len(self.units)} joints")
        for name, goal in zip(self.joint_names, goal_rad, strict=True):
            if not np.isfinite(goal):
                raise ArmError(f"goal of {name} is {goal}; nothing was sent")
        if not self.torque_enabled:
            raise ArmError("goal refused, torque is off; call enable_torque first")
        step_ticks = int(self.config.max_step_rad / RAD_PER_TICK)
        clamped = np.zeros(len(self.units), dtype=np.bool_)
        goals: dict[int, int] = {}
        for index, (joint, motor) in enumerate(zip(self.units, self._servos.motors, strict=True)):
            # The range comes first: a goal far outside fits into no whole number.
            low, high = sorted(joint.ticks_to_rad(float(end)) for end in (motor.range_min, motor.range_max))
            inside_rad = min(max(float(goal_rad[index]), low), high)
            wanted = joint.rad_to_ticks(inside_rad)
            measured = self._measured[motor.id]
            near = min(max(wanted, measured - step_ticks), measured + step_ticks)
            goals[motor.id] = self._within_range(motor, near)
            outside = abs(goal_rad[index] - inside_rad) > RAD_PER_TICK / 2
            clamped[index] = outside or goals[motor.id] != wanted
        self._broadcast("Goal_Position", goals)
        return clamped

    def hold(self, reading: ArmReading) -> None:
        """Stop at the present pose, with torque. A gripper keeps its goal, so that it keeps its grip."""
        if self.torque_enabled:
            self._broadcast("Goal_Position", self._holding_goals(reading))

    def limit_torque(self, shares: FloatArray) -> None:
        """Let each joint use only this share of its torque, shape (joints,), 0 .. 1."""
        if not self.torque_enabled:
            return
        limits = {
            servo_id: round(float(share) * self._full_limits[servo_id])
            for servo_id, share in zip(self.servo_ids, shares, strict=True)
        }
        if limits != self._wanted["Torque_Limit"]:
            self._broadcast("Torque_Limit", limits)

    def restore(self, reading: ArmReading) -> dict[str, str]:
        """Write again what servos missed or lost; returns the problems by joint name.

        Servos whose power dipped hold their present position again. One that reports a fault gets no torque.
        """
        if not self.torque_enabled:
            return {}
        complaints: dict[str, str] = {}
        for index, name in enumerate(self.joint_names):
            if reading.valid[index] and not reading.torque[index]:
                complaints[name] = self._restore_torque(index, reading)
        heard = reading.valid & reading.torque
        missed_ids: set[int] = set()
        columns = {"Goal_Position": reading.goal_ticks, "Torque_Limit": reading.torque_limits}
        for register_name, found in columns.items():
            wanted = self._wanted[register_name]
            missed = {
                servo_id: wanted[servo_id]
                for servo_id, valid, value in zip(self.servo_ids, heard, found, strict=True)
                if valid and value != wanted[servo_id]
            }
            self.bus.sync_write(register_name, missed)
            missed_ids |= set(missed)
        for name, label, servo_id in zip(self.joint_names, self._servos.labels, self.servo_ids, strict=True):
            missed_it = servo_id in missed_ids
            self._repeated[servo_id] += missed_it
            self._missed_in_a_row[servo_id] = self._missed_in_a_row[servo_id] + 1 if missed_it else 0
            if self._missed_in_a_row[servo_id] > MAX_MISSED_WRITES:
                complaints[name] = f"{label} does not take its goal; check its cable"
        return complaints

    def close(self) -> None:
        """Close the port. Torque stays as it is; `disable_torque` first to switch it off."""
        self._torque_enabled = False
        self.bus.close()

    def _restore_torque(self, index: int, reading: ArmReading) -> str:
        """Switch torque on again, at the present position, of a servo that has lost it; returns what happened."""
        servo_id, label = self.servo_ids[index], self._servos.labels[index]
        if bits := int(reading.error_bits[index]):
            return f"{label} has let go: {fault_remedies(bits)}"
        motor = self._servos.motors[index]
        goal = self._within_range(motor, int(reading.position_ticks[index]))
        self._wanted["Goal_Position"][servo_id] = goal
        try:
            self._servos.write("Acceleration", {servo_id: self.config.acceleration})
            self._servos.write("Torque_Limit", {servo_id: self._wanted["Torque_Limit"][servo_id]})
            self._servos.write("Goal_Position", {servo_id: goal})
            self._servos.write("Torque_Enable", {servo_id: 1})
        except ArmError as error:
            return f"{label} has lost its torque, and does not take it again: {error}"
        return f"{label} had lost its torque, holds again where it stands; did its power dip? Check cable and supply"

    def _broadcast(self, name: str, values: dict[int, int]) -> None:
        """Write to all servos, unacknowledged; `restore` compares with it."""
        self._wanted[name] = values
        self.bus.sync_write(name, values)

    def _holding_goals(self, reading: ArmReading) -> dict[int, int]:
        """Goals that stop the arm: of a gripper, or a joint near its goal, the same goal; else the present position."""
        tolerance_ticks = HOLD_TOLERANCE_RAD / RAD_PER_TICK
        goals: dict[int, int] = {}
        for index, motor in enumerate(self._servos.motors):
            goal, tick = int(reading.goal_ticks[index]), int(reading.position_ticks[index])
            if not reading.valid[index]:
                goal = tick = self._wanted["Goal_Position"][motor.id]
            holds = reading.torque[index] and (
                self.joint_names[index] == self.config.gripper or abs(goal - tick) <= tolerance_ticks
            )
            goals[motor.id] = self._within_range(motor, goal if holds else tick)
        return goals

    @staticmethod
    def _within_range(motor: MotorCalibration, tick: int) -> int:
        return min(max(tick, motor.range_min), motor.range_max)
