# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration of an arm, compatible with LeRobot: from recorded poses to LeRobot's calibration values.

The servo reports its position minus the homing offset in its EEPROM. The offset is chosen so that the middle pose is
tick 2047. The range that the joint then moves through is stored in EEPROM too, as position limits. LeRobot resets the
servos first; here nothing is written until all values are known (positions are unwrapped in software), so an aborted
calibration leaves the arm unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

from smolvla_ros.arm.feetech import BusError, FeetechBus
from smolvla_ros.arm.registers import STS3215_MODEL_NUMBER
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import (
    MAX_HOMING_OFFSET,
    MAX_TICK,
    TICKS_PER_TURN,
    CalibrationError,
    MotorCalibration,
)

Role = Literal["follower", "leader"]

MIDDLE_TICK = MAX_TICK // 2  # where LeRobot puts the middle pose
LIMIT_TOLERANCE_RAD = 0.35  # printed parts and manual calibration differ by less
POSE_TOLERANCE_RAD = 0.1  # backlash and flexible end stops
# Folder and names of LeRobot: first the present name, then those of versions up to 0.4.2.
_FOLDERS: dict[Role, tuple[str, tuple[str, ...]]] = {
    "follower": ("robots", ("so_follower", "so101_follower", "so100_follower")),
    "leader": ("teleoperators", ("so_leader", "so101_leader", "so100_leader")),
}
CALIBRATION_REGISTERS = {  # register -> field of MotorCalibration
    "Homing_Offset": "homing_offset",
    "Min_Position_Limit": "range_min",
    "Max_Position_Limit": "range_max",
}


def calibration_file(arm_id: str, role: Role = "follower") -> Path:
    """The path at which LeRobot looks for the calibration of the arm with this id; the file may not exist."""
    folder, names = _FOLDERS[role]
    return _lerobot_folder() / folder / names[0] / f"{arm_id}.json"


def find_calibration_file(arm_id: str, role: Role = "follower") -> Path:
    """The existing file of the arm with this id, also in the folders of older LeRobot; raises CalibrationError."""
    folder, names = _FOLDERS[role]
    for name in names:
        path = _lerobot_folder() / folder / name / f"{arm_id}.json"
        if path.is_file():
            return path
    raise CalibrationError(
        f"no calibration of '{arm_id}' in {_lerobot_folder() / folder}/{{{','.join(names)}}}; calibrate the arm"
    )


def _lerobot_folder() -> Path:
    """LeRobot's calibration folder, from the environment variables that LeRobot reads."""
    cache = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    home = os.environ.get("HF_LEROBOT_HOME") or f"{cache}/lerobot"
    return Path(os.environ.get("HF_LEROBOT_CALIBRATION") or f"{home}/calibration").expanduser()


class RangeRecorder:
    """Records the range of joints that are moved by hand: `set_middle` once, `observe` often, then `calibration`.

    Ticks are as the servos report them with their present homing `offsets`. The range of joints named in `full_turn`,
    which have no end stops, is the whole turn.
    """

    def __init__(
        self, ids: Mapping[str, int], offsets: Mapping[str, int], full_turn: Collection[str]
    ) -> None:
        self._ids, self._offsets, self._full_turn = dict(ids), dict(offsets), set(full_turn)
        self._homing: dict[str, int] = {}
        self.ticks: dict[str, int] = {}  # present positions with the new homing offsets
        self.low: dict[str, int] = {}
        self.high: dict[str, int] = {}

    def set_middle(self, reported: Mapping[str, int]) -> None:
        """Make the present pose the middle pose, tick 2047."""
        for name in self._ids:
            actual = (reported[name] + self._offsets[name]) % TICKS_PER_TURN
            # The register holds at most 2047; for 2048 the middle is one tick off; the recorded range includes that.
            self._homing[name] = min(actual - MIDDLE_TICK, MAX_HOMING_OFFSET)
            self.ticks[name] = self.low[name] = self.high[name] = actual - self._homing[name]

    def observe(self, reported: Mapping[str, int]) -> None:
        """Extend the ranges; joints may be missing, and move by less than half a turn between calls."""
        for name, tick in reported.items():
            moved = tick + self._offsets[name] - self._homing[name] - self.ticks[name]
            half = TICKS_PER_TURN // 2
            self.ticks[name] += (moved + half) % TICKS_PER_TURN - half
            self.low[name] = min(self.low[name], self.ticks[name])
            self.high[name] = max(self.high[name], self.ticks[name])

    def calibration(self) -> dict[str, MotorCalibration]:
        """The calibration; raises CalibrationError for a joint that went more than half a turn from its middle."""
        return {name: self._motor(name) for name in self._ids}

    def _motor(self, name: str) -> MotorCalibration:
        low, high = (0, MAX_TICK) if name in self._full_turn else (self.low[name], self.high[name])
        if low < 0 or high > MAX_TICK:
            raise CalibrationError(
                f"{name} went {low} .. {high} ticks, more than half a turn from the middle pose (0 .. {MAX_TICK}); "
                "start again with this joint in the middle of its range"
            )
        return MotorCalibration(self._ids[name], 0, self._homing[name], low, high)


def check_servos(bus: FeetechBus, ids: Mapping[str, int]) -> None:
    """Raises BusError naming all servos that do not answer or are no STS3215."""
    wrong = []
    for name, servo_id in ids.items():
        try:
            model = bus.read(servo_id, "Model_Number")
        except BusError as error:
            wrong.append(f"{name}: {error}")
        else:
            if model != STS3215_MODEL_NUMBER:
                wrong.append(f"{name} (servo {servo_id}) is model {model}, not {STS3215_MODEL_NUMBER}")
    if wrong:
        raise BusError("; ".join(wrong))


def disable_torque(bus: FeetechBus, ids: Mapping[str, int]) -> None:
    """Torque off, acknowledged by every servo."""
    for servo_id in ids.values():
        bus.write(servo_id, "Torque_Enable", 0)


def read_positions(bus: FeetechBus, ids: Mapping[str, int]) -> dict[str, int]:
    """Position ticks of the servos that answer."""
    values = bus.sync_read(tuple(ids.values()), ("Present_Position",)).values
    return {name: values[i]["Present_Position"] for name, i in ids.items() if i in values}


def read_eeprom(bus: FeetechBus, ids: Mapping[str, int]) -> dict[str, MotorCalibration]:
    """The calibration values in the servos, unchecked. Raises BusError."""
    return {
        name: MotorCalibration(
            id=servo_id,
            drive_mode=0,
            **{entry: bus.read(servo_id, register) for register, entry in CALIBRATION_REGISTERS.items()},
        )
        for name, servo_id in ids.items()
    }


def write_eeprom(bus: FeetechBus, calibration: Mapping[str, MotorCalibration]) -> tuple[str, ...]:
    """Write this calibration to the servos; returns one line for each change. Equal values are not written.

    Torque of a servo goes off before it is written. Raises BusError, also when a servo keeps another value.
    """
    changes = []
    for name, motor in calibration.items():
        found = {register: bus.read(motor.id, register) for register in CALIBRATION_REGISTERS}
        wanted = {register: getattr(motor, entry) for register, entry in CALIBRATION_REGISTERS.items()}
        differing = {register: value for register, value in wanted.items() if value != found[register]}
        if not differing:
            continue
        bus.write(motor.id, "Torque_Enable", 0)
        bus.write(motor.id, "Lock", 0)
        for register, value in differing.items():
            bus.write(motor.id, register, value)
            kept = bus.read(motor.id, register)
            if kept != value:
                raise BusError(
                    f"{name} (servo {motor.id}) keeps {register} at {kept} instead of {value}; power the arm off and on"
                )
            changes.append(f"{name}: {register} {found[register]} -> {value}")
        bus.write(motor.id, "Lock", 1)
    return tuple(changes)


def calibration_problems(
    robot: RobotSpec,
    file: Mapping[str, MotorCalibration],
    eeprom: Mapping[str, MotorCalibration],
    ticks: Mapping[str, int],
) -> tuple[str, ...]:
    """Contradictions between calibration file, servos, the present pose `ticks` and the URDF, one line each."""
    found: list[str] = []
    for joint, units in zip(robot.joints, robot.units(file), strict=True):
        name, motor, held = joint.name, file[joint.name], eeprom[joint.name]
        found += [
            f"{name}: {entry} is {getattr(motor, entry)} in the file, {getattr(held, entry)} in the servo ({register})"
            for register, entry in CALIBRATION_REGISTERS.items()
            if getattr(motor, entry) != getattr(held, entry)
        ]
        if motor.drive_mode:
            found.append(
                f"{name}: drive_mode 1 in the file; LeRobot ignores it for degrees and inverts -100..100"
            )
        ends = sorted(
            (units.ticks_to_rad(float(motor.range_min)), units.ticks_to_rad(float(motor.range_max)))
        )
        beyond = max(abs(ends[0] - joint.lower_rad), abs(ends[1] - joint.upper_rad))
        if beyond > LIMIT_TOLERANCE_RAD:
            found.append(
                f"{name}: calibrated range is {ends[0]:.2f} .. {ends[1]:.2f} rad, the URDF has "
                f"{joint.lower_rad:.2f} .. {joint.upper_rad:.2f}; was it moved from stop to stop?"
            )
        if name not in ticks:
            found.append(f"{name}: servo {motor.id} does not say where it stands")
            continue
        tick, rad = ticks[name], float(units.ticks_to_rad(float(ticks[name])))
        if not motor.range_min <= tick <= motor.range_max:
            found.append(
                f"{name}: stands at {tick}, outside its range {motor.range_min} .. {motor.range_max}"
            )
        if not joint.lower_rad - POSE_TOLERANCE_RAD <= rad <= joint.upper_rad + POSE_TOLERANCE_RAD:
            found.append(
                f"{name}: stands at {rad:.2f} rad, the URDF's limits are {joint.lower_rad:.2f} .. {joint.upper_rad:.2f}"
            )
    return tuple(found)
