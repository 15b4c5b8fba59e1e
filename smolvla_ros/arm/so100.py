# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SO-100 arm on its bus: radians in, radians out, and refusals where the arm and its papers disagree.

It connects without moving or loosening anything that is set up already, holds where it stands when torque
comes on, and clamps every goal to the calibrated range. Pace, ramps and limits of speed are not its business
(`execution/safety.py`); it keeps no time and starts no thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from smolvla_ros.arm.feetech import BusError, FeetechBus, PortError, SyncReply
from smolvla_ros.arm.registers import STS3215_MODEL_NUMBER, TELEMETRY, fault_names, register
from smolvla_ros.settings import check_settings, setting
from smolvla_ros.units import RAD_PER_TICK, CalibrationError, JointUnits, MotorCalibration

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

CURRENT_UNIT_A = 0.0065  # registers Present_Current and Protection_Current
_IDENTITY = ("Firmware_Major_Version", "Firmware_Minor_Version", "Model_Number")
_CALIBRATED = ("Homing_Offset", "Min_Position_Limit", "Max_Position_Limit")


class ArmError(RuntimeError):
    """The arm refuses; the message names joint and servo, what it found, and the remedy."""


@dataclass(frozen=True)
class So100Config:
    """How the servos are set up. Defaults are what LeRobot sets, so that a policy meets the arm it knows."""

    p_coefficient: int = setting(16, "position gain of the servos", minimum=0, maximum=254)
    i_coefficient: int = setting(0, "integral gain of the servos", minimum=0, maximum=254)
    d_coefficient: int = setting(32, "derivative gain of the servos", minimum=0, maximum=254)
    acceleration: int = setting(254, "acceleration of the servos, 100 ticks/s^2", minimum=1, maximum=254)
    gripper: str = setting("gripper", "joint that may be stalled on an object and gets the limits below")
    gripper_max_torque: float = setting(0.5, "share of stall torque", minimum=0.0, maximum=1.0)
    gripper_max_current_a: float = setting(
        1.625, "current at which it protects itself", minimum=0.1, maximum=3.2
    )
    gripper_overload_torque: float = setting(
        0.25, "share of stall torque that counts as overload", minimum=0, maximum=1
    )
    outside_range_rad: float = setting(
        0.1, "how far outside its range a joint may stand when torque comes on", minimum=0.0, maximum=1.0
    )

    def eeprom(self, joint_name: str) -> dict[str, int]:
        """Lasting registers of a joint's servo; written only where they differ."""
        registers = {
            "Return_Delay_Time": 0,
            "Operating_Mode": 0,
            "P_Coefficient": self.p_coefficient,
            "I_Coefficient": self.i_coefficient,
            "D_Coefficient": self.d_coefficient,
            "Maximum_Acceleration": 254,
        }
        if joint_name == self.gripper:
            registers["Max_Torque_Limit"] = round(self.gripper_max_torque * 1000)
            registers["Protection_Current"] = round(self.gripper_max_current_a / CURRENT_UNIT_A)
            registers["Overload_Torque"] = round(self.gripper_overload_torque * 100)
        return registers


@dataclass(frozen=True)
class ConnectReport:
    """What connecting found and did, for the log."""

    firmware: tuple[str, ...]  # by joint
    changes: tuple[str, ...]  # EEPROM registers that were written
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ArmReading:
    """One look at all servos: arrays of shape (joints,) in the order of the arm's joints.

    Where `valid` is false the servo did not answer: its floats are NaN, its ticks -1, and `failures` says
    why.
    """

    valid: BoolArray
    positions_rad: FloatArray
    velocities_rad_s: FloatArray
    load: FloatArray  # share of the motor's full drive, -1 .. 1, signed along the URDF axis
    voltage_v: FloatArray
    temperature_c: FloatArray
    current_a: FloatArray
    moving: BoolArray
    position_ticks: IntArray
    error_bits: IntArray  # ServoFault bits of the latest answer
    retries: IntArray  # transactions repeated since the bus was opened
    communication_errors: IntArray  # transactions given up since the bus was opened
    failures: dict[str, str] = field(default_factory=dict)  # joint -> why it is not valid

    def faults(self, joint_names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Names of the hardware faults by joint, for the joints that report any."""
        pairs = zip(joint_names, self.error_bits, strict=True)
        return {name: fault_names(int(bits)) for name, bits in pairs if bits}


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
            return self._set_up()
        except BaseException:
            self.bus.close()
            raise

    def enable_torque(self) -> None:
        """Hold where the arm stands: goals are set to the present positions before torque comes on.

        Raises ArmError if a servo is silent, reports a fault, or stands outside its range (it would jump
        back).
        """
        reading = self.read()
        refusals = list(reading.failures.values())
        refusals += [f"{name} reports {', '.join(f)}" for name, f in reading.faults(self.joint_names).items()]
        goals: dict[int, int] = {}
        margin_ticks = self.config.outside_range_rad / RAD_PER_TICK
        for index, motor in enumerate(self._motors):
            tick = int(reading.position_ticks[index])
            goals[motor.id] = min(max(tick, motor.range_min), motor.range_max)
            if reading.valid[index] and abs(tick - goals[motor.id]) > margin_ticks:
                refusals.append(
                    f"{self._labels[index]} stands at {tick}, outside its calibrated range {motor.range_min} "
                    f".. {motor.range_max}; move it by hand into the range or calibrate again"
                )
        if refusals:
            raise ArmError(f"torque stays off: {'; '.join(refusals)}")
        try:
            self._write_all("Goal_Position", goals)
            self._write_all("Torque_Enable", dict.fromkeys(self.servo_ids, 1))
        except (ArmError, BusError):
            with suppress(ArmError, BusError):  # the first error says what is wrong
                self.release()
            raise
        self._torque_enabled = True

    def release(self) -> None:
        """Torque off, confirmed by every servo: the arm drops. Raises ArmError naming those that did not."""
        self._torque_enabled = False
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
            position_ticks=np.where(valid, ticks, -1),
            error_bits=column("Status") | np.array([counter.error_bits for counter in counters]),
            retries=np.array([counter.retries for counter in counters]),
            communication_errors=np.array([counter.communication_errors for counter in counters]),
            failures=self._failures(reply),
        )

    def write(self, goal_rad: FloatArray) -> BoolArray:
        """Send goals, shape (joints,), clamped to the calibrated ranges: which of them were clamped.

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
        clamped = np.zeros(len(self.units), dtype=np.bool_)
        goals: dict[int, int] = {}
        for index, (joint, motor) in enumerate(zip(self.units, self._motors, strict=True)):
            wanted = joint.rad_to_ticks(float(goal_rad[index]))
            goals[motor.id] = min(max(wanted, motor.range_min), motor.range_max)
            clamped[index] = goals[motor.id] != wanted
        self.bus.sync_write("Goal_Position", goals)
        return clamped

    def close(self) -> None:
        """Close the port. Torque stays as it is: `release` first if the arm shall go limp."""
        self._torque_enabled = False
        self.bus.close()

    def _set_up(self) -> ConnectReport:
        warnings = self._find_servos()
        names = (*_IDENTITY, *_CALIBRATED, *self.config.eeprom(self.config.gripper))
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
        return ConnectReport(firmware, tuple(changes), tuple(warnings))

    def _find_servos(self) -> list[str]:
        """Ping every servo: warnings about their faults. Raises ArmError naming all that are missing."""
        warnings, missing = [], []
        for label, servo_id in zip(self._labels, self.servo_ids, strict=True):
            try:
                faults = fault_names(self.bus.ping(servo_id))
            except PortError:
                raise
            except BusError as error:
                missing.append(f"{label}: {error}")
            else:
                if faults:
                    warnings.append(f"{label} reports {', '.join(faults)}")
        if missing:
            raise ArmError(f"{len(missing)} of {len(self.units)} servos missing: {'; '.join(missing)}")
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
        wanted = self.config.eeprom(self.joint_names[index])
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
        if "Max_Torque_Limit" in wanted:  # the servo copies it to Torque_Limit at power-on only
            self.bus.write(servo_id, "Torque_Limit", wanted["Max_Torque_Limit"])

    def _write_all(self, name: str, wanted: dict[int, int]) -> None:
        """Write all servos at once, which none acknowledges; read back, and repeat for those that missed
        it."""
        self.bus.sync_write(name, wanted)
        reply = self.bus.sync_read(self.servo_ids, (name,))
        wrong = []
        for label, servo_id in zip(self._labels, self.servo_ids, strict=True):
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
        reply = self.bus.sync_read(self.servo_ids, names)
        if reply.failures:
            raise ArmError("; ".join(self._failures(reply).values()))
        return reply.values

    def _failures(self, reply: SyncReply) -> dict[str, str]:
        joints = zip(self.joint_names, self._labels, self.servo_ids, strict=True)
        return {n: f"{label}: {reply.failures[i]}" for n, label, i in joints if i in reply.failures}


def _motor(joint: JointUnits) -> MotorCalibration:
    if joint.calibration is None:
        raise CalibrationError(
            f"joint '{joint.name}' has no calibration; the arm needs LeRobot's calibration of all its joints"
        )
    return joint.calibration
