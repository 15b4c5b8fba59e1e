# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SO-100 arm on its bus: radians in, radians out, and refusals where the arm and its papers disagree.

It connects without moving or loosening anything that is set up already, holds where it stands when torque
comes on, and clamps every goal to the calibrated range and to a step from where the joint was measured. Pace,
ramps and limits of speed are not its business (`execution/safety.py`); it keeps no time and starts no thread.

Goals go out in a broadcast that no servo acknowledges. But each reading tells what the servos hold: what they
have missed, or have forgotten when their power dipped, `restore` writes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smolvla_ros.arm.arm_reading import ArmReading, BoolArray, FloatArray, IntArray
from smolvla_ros.arm.feetech import BusError, FeetechBus, PortError, SyncReply
from smolvla_ros.arm.registers import (
    CURRENT_UNIT_A,
    STS3215_MODEL_NUMBER,
    TELEMETRY,
    fault_names,
    fault_remedies,
    register,
)
from smolvla_ros.arm.so100_config import So100Config
from smolvla_ros.settings import check_settings
from smolvla_ros.units import RAD_PER_TICK, CalibrationError, JointUnits, MotorCalibration

HOLD_TOLERANCE_RAD = 0.1  # a joint this near its goal keeps it: it holds against its load already
MAX_MISSED_WRITES = 3  # so often in a row a servo may miss what it is told before that is called a failure
# For servos that do not answer at first: a computer that starts many programs may be too busy to hear them.
CONNECT_ATTEMPTS = 5  # while connecting
READINGS = 20  # before torque comes on
_IDENTITY = ("Firmware_Major_Version", "Firmware_Minor_Version", "Model_Number")
_MULTI_TURN_PHASE = 0x10  # bit of Phase: positions run on past a turn, and become negative or too large
_CALIBRATED = ("Homing_Offset", "Min_Position_Limit", "Max_Position_Limit")


class ArmError(RuntimeError):
    """The arm refuses; the message names joint and servo, what it found, and the remedy."""


@dataclass(frozen=True)
class ConnectReport:
    """What connecting found and did, for the log."""

    firmware: tuple[str, ...]  # by joint
    changes: tuple[str, ...]  # EEPROM registers that were written
    warnings: tuple[str, ...]


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
        check_settings(self.config)
        self.joint_names = tuple(joint.name for joint in self.units)
        self._motors = tuple(_motor(joint) for joint in self.units)
        self.servo_ids = tuple(motor.id for motor in self._motors)
        pairs = zip(self.joint_names, self.servo_ids, strict=True)
        self._labels = tuple(f"{name} (servo {servo_id})" for name, servo_id in pairs)
        self._torque_enabled = False
        self._full_limits: dict[int, int] = {}  # servo id -> Torque_Limit of a servo that is not hot
        self._wanted: dict[str, dict[int, int]] = {}  # register -> what every servo should hold
        self._measured: dict[int, int] = {}  # servo id -> its latest position in ticks
        self._repeated = dict.fromkeys(self.servo_ids, 0)
        self._missed_in_a_row = dict.fromkeys(self.servo_ids, 0)

    @property
    def goals_rad(self) -> FloatArray:
        """What the servos were told last, shape (joints,); only while torque is on."""
        goals = self._wanted["Goal_Position"]
        pairs = zip(self.units, self.servo_ids, strict=True)
        return np.array([joint.ticks_to_rad(float(goals[servo_id])) for joint, servo_id in pairs])

    @property
    def torque_enabled(self) -> bool:
        """Whether `enable_torque` succeeded and nothing undid it."""
        return self._torque_enabled and self.bus.is_open

    def connect(self) -> ConnectReport:
        """Open the bus, check the servos and set them up. Nothing moves and equal EEPROM is not written.

        A servo whose EEPROM must change is made torqueless first. Raises ArmError on a missing servo, a wrong
        model or a calibration that is not the servos', and closes the bus again.
        """
        self._torque_enabled = False
        self.bus.open()
        try:
            # In haste: without power none answers, and that is to be said soon.
            warnings = self._find_servos()
            with self.bus.long_timeouts():
                return self._set_up(warnings)
        except BaseException:
            self.bus.close()
            raise

    def enable_torque(self) -> None:
        """Hold where the arm stands: goals are set to the present positions before torque comes on.

        A servo that holds already, because only its driver was gone, keeps its goal.

        Raises ArmError if a servo is silent, reports a fault, or stands outside its range (it would jump
        back).
        """
        for _ in range(READINGS):
            reading = self.read()
            if reading.valid.all():
                break
        refusals = list(reading.failures.values())
        refusals += [f"{name} reports {', '.join(f)}" for name, f in reading.faults(self.joint_names).items()]
        margin_ticks = self.config.outside_range_rad / RAD_PER_TICK
        for index, motor in enumerate(self._motors):
            tick = int(reading.position_ticks[index])
            if reading.valid[index] and abs(tick - self._within_range(motor, tick)) > margin_ticks:
                refusals.append(
                    f"{self._labels[index]} stands at {tick}, outside its calibrated range {motor.range_min} "
                    f".. {motor.range_max}; move it by hand into the range or calibrate again"
                )
        if refusals:
            raise ArmError(f"torque stays off: {'; '.join(refusals)}")
        goals = self._holding_goals(reading)
        was_on = dict(zip(self.servo_ids, reading.torque, strict=True))  # and stays on, whatever happens
        with self.bus.long_timeouts():
            try:
                self._write_all("Goal_Position", goals)
                self._write_all("Torque_Enable", dict.fromkeys(self.servo_ids, 1))
            except (ArmError, BusError):
                with suppress(ArmError, BusError):  # the first error says what is wrong
                    self._write_all("Torque_Enable", {i: 0 for i, on in was_on.items() if not on})
                raise
        self._torque_enabled = True
        self._wanted = {"Goal_Position": goals, "Torque_Limit": dict(self._full_limits)}

    def disable_torque(self) -> None:
        """Torque off, confirmed by every servo: the arm drops. Raises ArmError naming those that did not."""
        self._torque_enabled = False
        with self.bus.long_timeouts():
            self._write_all("Torque_Enable", dict.fromkeys(self.servo_ids, 0))

    def read(self) -> ArmReading:
        """Everything the servos report, in one transaction; silent servos are marked, not raised."""
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
            failures=self._failures(reply),
        )

    def write(self, goal_rad: FloatArray) -> BoolArray:
        """Send goals, shape (joints,), clamped to range and step: which of them were clamped.

        The step counts from the latest measured position, so a joint that no longer answers is not led on.
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
        for index, (joint, motor) in enumerate(zip(self.units, self._motors, strict=True)):
            # The range comes first: a goal far outside fits into no whole number.
            low, high = sorted(joint.ticks_to_rad(float(end)) for end in (motor.range_min, motor.range_max))
            inside_rad = min(max(float(goal_rad[index]), low), high)
            wanted = joint.rad_to_ticks(inside_rad)
            measured = self._measured[motor.id]
            near = min(max(wanted, measured - step_ticks), measured + step_ticks)
            goals[motor.id] = self._within_range(motor, near)
            outside = abs(goal_rad[index] - inside_rad) > RAD_PER_TICK / 2
            clamped[index] = outside or goals[motor.id] != wanted
        self._tell("Goal_Position", goals)
        return clamped

    def hold(self, reading: ArmReading) -> None:
        """Stop where the arm stands, with torque. A gripper goes on gripping."""
        if self.torque_enabled:
            self._tell("Goal_Position", self._holding_goals(reading))

    def limit_torque(self, shares: FloatArray) -> None:
        """Let each joint use only this share of its torque, shape (joints,), 0 .. 1."""
        if not self.torque_enabled:
            return
        limits = {
            servo_id: round(float(share) * self._full_limits[servo_id])
            for servo_id, share in zip(self.servo_ids, shares, strict=True)
        }
        if limits != self._wanted["Torque_Limit"]:
            self._tell("Torque_Limit", limits)

    def restore(self, reading: ArmReading) -> dict[str, str]:
        """Write again what servos did not get or have forgotten: by joint, what is out of order.

        Servos whose power dipped hold again where they stand. One that reports a fault is left alone.
        """
        if not self.torque_enabled:
            return {}
        complaints: dict[str, str] = {}
        for index, name in enumerate(self.joint_names):
            if reading.valid[index] and not reading.torque[index]:
                complaints[name] = self._regain(index, reading)
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
        for name, label, servo_id in zip(self.joint_names, self._labels, self.servo_ids, strict=True):
            missed_it = servo_id in missed_ids
            self._repeated[servo_id] += missed_it
            self._missed_in_a_row[servo_id] = self._missed_in_a_row[servo_id] + 1 if missed_it else 0
            if self._missed_in_a_row[servo_id] > MAX_MISSED_WRITES:
                complaints[name] = f"{label} does not take its goal; check its cable"
        return complaints

    def close(self) -> None:
        """Close the port. Torque stays as it is: `release` first if the arm shall go limp."""
        self._torque_enabled = False
        self.bus.close()

    def _regain(self, index: int, reading: ArmReading) -> str:
        """Torque on again, where it stands, at a servo that has lost it: what has happened."""
        servo_id, label = self.servo_ids[index], self._labels[index]
        if bits := int(reading.error_bits[index]):
            return f"{label} has let go: {fault_remedies(bits)}"
        motor = self._motors[index]
        goal = self._within_range(motor, int(reading.position_ticks[index]))
        self._wanted["Goal_Position"][servo_id] = goal
        try:
            self._write_all("Acceleration", {servo_id: self.config.acceleration})
            self._write_all("Torque_Limit", {servo_id: self._wanted["Torque_Limit"][servo_id]})
            self._write_all("Goal_Position", {servo_id: goal})
            self._write_all("Torque_Enable", {servo_id: 1})
        except ArmError as error:
            return f"{label} has lost its torque, and does not take it again: {error}"
        return f"{label} had lost its torque, holds again where it stands; did its power dip? Check cable and supply"

    def _tell(self, name: str, values: dict[int, int]) -> None:
        """Write all servos, unacknowledged, and remember it for `restore`."""
        self._wanted[name] = values
        self.bus.sync_write(name, values)

    def _holding_goals(self, reading: ArmReading) -> dict[int, int]:
        """Goals that stop the arm: the present one where a joint is near it or grips, else where the joint stands."""
        tolerance_ticks = HOLD_TOLERANCE_RAD / RAD_PER_TICK
        goals: dict[int, int] = {}
        for index, motor in enumerate(self._motors):
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

    def _set_up(self, warnings: list[str]) -> ConnectReport:
        names = (
            *_IDENTITY, *_CALIBRATED, "Max_Torque_Limit", "Phase", *self.config.eeprom(self.config.gripper)
        )  # fmt: skip
        lasting = [name for name in dict.fromkeys(names) if register(name).area == "eeprom"]
        factory = [name for name in dict.fromkeys(names) if register(name).area == "factory"]
        found = self._read_all(lasting)
        for servo_id, values in self._read_all(factory).items():
            found[servo_id] |= values
        self._check_model(found)
        self._check_calibration(found)
        firmware = tuple(
            f"{found[i]['Firmware_Major_Version']}.{found[i]['Firmware_Minor_Version']}"
            for i in self.servo_ids
        )
        if len(set(firmware)) > 1:
            versions = ", ".join(f"{name} {v}" for name, v in zip(self.joint_names, firmware, strict=True))
            warnings.append(f"servos differ in firmware ({versions}); bring them to one with Feetech's tool")
        changes: list[str] = []
        for index in range(len(self.units)):
            self._set_up_servo(index, found[self.servo_ids[index]], changes, warnings)
        self._write_all("Lock", dict.fromkeys(self.servo_ids, 1))
        self._write_all("Acceleration", dict.fromkeys(self.servo_ids, self.config.acceleration))
        # the servo copies it from EEPROM at power-on only, and an earlier run may have lowered it
        self._full_limits = {
            servo_id: self.config.eeprom(name).get("Max_Torque_Limit", found[servo_id]["Max_Torque_Limit"])
            for name, servo_id in zip(self.joint_names, self.servo_ids, strict=True)
        }
        self._write_all("Torque_Limit", self._full_limits)
        return ConnectReport(firmware, tuple(changes), tuple(warnings))

    def _find_servos(self) -> list[str]:
        """Ping every servo: warnings about their faults. Raises ArmError naming all that are missing."""
        warnings: list[str] = []
        missing = dict(zip(self.servo_ids, self._labels, strict=True))
        errors: list[str] = []
        for _ in range(CONNECT_ATTEMPTS):
            errors = []
            for servo_id, label in tuple(missing.items()):
                try:
                    faults = fault_names(self.bus.ping(servo_id))
                except PortError:
                    raise
                except BusError as error:
                    errors.append(f"{label}: {error}")
                else:
                    del missing[servo_id]
                    if faults:
                        warnings.append(f"{label} reports {', '.join(faults)}")
        if missing:
            raise ArmError(f"{len(missing)} of {len(self.units)} servos missing: {'; '.join(errors)}")
        return warnings

    def _check_model(self, found: dict[int, dict[str, int]]) -> None:
        for label, servo_id in zip(self._labels, self.servo_ids, strict=True):
            model = found[servo_id]["Model_Number"]
            if model != STS3215_MODEL_NUMBER:
                raise ArmError(f"{label} is model {model}, an SO-100 has STS3215 ({STS3215_MODEL_NUMBER})")

    def _check_calibration(self, found: dict[int, dict[str, int]]) -> None:
        """The EEPROM decides what a tick means, so the calibration file must be the one written there."""
        different = []
        for label, motor in zip(self._labels, self._motors, strict=True):
            wanted = dict(
                zip(_CALIBRATED, (motor.homing_offset, motor.range_min, motor.range_max), strict=True)
            )
            different += [
                f"{label} has {name} {found[motor.id][name]}, the file says {value}"
                for name, value in wanted.items()
                if found[motor.id][name] != value
            ]
        if different:
            raise ArmError(
                f"the calibration file is not the one in the servos: {'; '.join(different)}. "
                "Give the file of this arm, or calibrate it again"
            )

    def _set_up_servo(
        self, index: int, found: dict[str, int], changes: list[str], warnings: list[str]
    ) -> None:
        servo_id, label = self.servo_ids[index], self._labels[index]
        # LeRobot 0.6 clears this bit of Phase when it connects and leaves its others as they are.
        wanted = self.config.eeprom(self.joint_names[index]) | {"Phase": found["Phase"] & ~_MULTI_TURN_PHASE}
        differing = {name: value for name, value in wanted.items() if found[name] != value}
        if differing:
            self.bus.write(servo_id, "Torque_Enable", 0)
            self.bus.write(servo_id, "Lock", 0)
        for name, value in differing.items():
            self.bus.write(servo_id, name, value)
            kept = self.bus.read(servo_id, name)
            if kept == value:
                changes.append(f"{label}: {name} {found[name]} -> {value}")
            elif register(name).area == "factory":  # undocumented, and not every firmware lets it be set
                warnings.append(f"{label} keeps {name} at {kept} instead of {value}")
            else:
                raise ArmError(f"{label} keeps {name} at {kept} instead of {value}; power the arm off and on")

    def _write_all(self, name: str, wanted: dict[int, int]) -> None:
        """Write servos, by id, at once, which none acknowledges; read back, and repeat for those that missed
        it."""
        if not wanted:
            return
        self.bus.sync_write(name, wanted)
        reply = self.bus.sync_read(tuple(wanted), (name,))
        wrong = []
        for label, servo_id in zip(self._labels, self.servo_ids, strict=True):
            if servo_id not in wanted:
                continue
            if servo_id in reply.values and reply.values[servo_id][name] == wanted[servo_id]:
                continue
            try:
                self.bus.write(servo_id, name, wanted[servo_id])
                value = self.bus.read(servo_id, name)
            except PortError:
                raise
            except BusError as error:
                wrong.append(f"{label}: {error}")
            else:
                if value != wanted[servo_id]:
                    wrong.append(f"{label} keeps {name} at {value} instead of {wanted[servo_id]}")
        if wrong:
            raise ArmError("; ".join(wrong))

    def _read_all(self, names: Sequence[str]) -> dict[int, dict[str, int]]:
        for _ in range(CONNECT_ATTEMPTS):
            reply = self.bus.sync_read(self.servo_ids, names)
            if not reply.failures:
                return reply.values
        raise ArmError("; ".join(self._failures(reply).values()))

    def _failures(self, reply: SyncReply) -> dict[str, str]:
        joints = zip(self.joint_names, self._labels, self.servo_ids, strict=True)
        return {n: f"{label}: {reply.failures[i]}" for n, label, i in joints if i in reply.failures}


def _motor(joint: JointUnits) -> MotorCalibration:
    if joint.calibration is None:
        raise CalibrationError(
            f"joint '{joint.name}' has no calibration; the arm needs LeRobot's calibration of all its joints"
        )
    return joint.calibration
