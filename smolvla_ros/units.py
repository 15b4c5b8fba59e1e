# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion of joint positions between servo ticks, radians and LeRobot units; LeRobot's calibration file.

Servos report ticks (4096 per turn), ROS and the URDF use radians, datasets and checkpoints LeRobot units. All
conversions are in this file.

A calibration's `homing_offset` is in the servo's EEPROM: the servo subtracts it before it reports a position. It must
not be subtracted again here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, overload

import numpy as np
import numpy.typing as npt

from smolvla_ros.arrays import Float32Array, FloatArray, IntArray

Unit = Literal["degrees", "range_m100_100", "range_0_100", "degrees_old_calibration"]
UNIT_TEXT: dict[Unit, str] = {  # for messages; a test compares the keys with Unit
    "degrees": "degrees",
    "range_m100_100": "-100..100",
    "range_0_100": "0..100",
    "degrees_old_calibration": "degrees of LeRobot's older calibration",
}

TICKS_PER_TURN = 4096  # STS3215 magnetic encoder, 12 bit
MAX_TICK = TICKS_PER_TURN - 1
MAX_HOMING_OFFSET = 2047  # sign-magnitude register with sign bit 11
RAD_PER_TICK = 2.0 * math.pi / TICKS_PER_TURN
# In LeRobot 360 degrees are 4095 ticks, though a turn has 4096.
DEGREES_PER_RAD = TICKS_PER_TURN / MAX_TICK * 180.0 / math.pi
# The calibration that LeRobot replaced in June 2025 (pull request 777) had another zero pose and an inverted
# shoulder_lift. LeRobot's guide: shoulder_lift = 90 - old, elbow_flex = old - 90, the other joints are equal.
OLD_CALIBRATION = {"shoulder_lift": (-1.0, 90.0), "elbow_flex": (1.0, 90.0)}  # old = sign * degrees + offset

_Value = TypeVar("_Value", float, npt.NDArray[Any])
_FIELDS = ("id", "drive_mode", "homing_offset", "range_min", "range_max")


class CalibrationError(ValueError):
    """A calibration is missing or cannot be used; the message names file, joint, value and remedy."""


@dataclass(frozen=True)
class MotorCalibration:
    """One motor of a LeRobot calibration file; positions in ticks as the servo reports them."""

    id: int
    drive_mode: int  # 1 inverts the two range units in LeRobot; LeRobot ignores it for degrees
    homing_offset: int  # in the servo's EEPROM; reported positions include it
    range_min: int
    range_max: int

    @property
    def mid_tick(self) -> float:
        """The middle of the calibrated range, LeRobot's zero in degrees."""
        return (self.range_min + self.range_max) / 2


@dataclass(frozen=True)
class JointUnits:
    """Converts positions of one joint. Methods take a float or an array and return the same shape.

    `middle_rad` is the URDF angle at the middle of the calibrated range, `direction` (+1 or -1) the sign of growing
    ticks on the URDF axis. `degrees_old_calibration` is the unit of policies and datasets from before June 2025, by the
    joint's name (OLD_CALIBRATION). Degrees convert to and from radians without a calibration; other conversions then
    raise CalibrationError.
    """

    name: str
    unit: Unit
    direction: int
    middle_rad: float
    calibration: MotorCalibration | None = None

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            known = ", ".join(get_args(Unit))
            raise ValueError(f"joint '{self.name}': unit '{self.unit}' is not one of {known}")
        if self.direction not in (1, -1):
            raise ValueError(f"joint '{self.name}': direction must be 1 or -1, got {self.direction}")
        if not math.isfinite(self.middle_rad):
            raise ValueError(f"joint '{self.name}': middle_rad must be finite, got {self.middle_rad}")

    def ticks_to_rad(self, ticks: _Value) -> _Value:
        """URDF angle of a servo position."""
        mid_tick = self._calibrated().mid_tick
        return self.middle_rad + self.direction * (ticks - mid_tick) * RAD_PER_TICK

    @overload
    def rad_to_ticks(self, rad: float) -> int: ...
    @overload
    def rad_to_ticks(self, rad: npt.NDArray[Any]) -> IntArray: ...
    def rad_to_ticks(self, rad: Any) -> int | IntArray:
        """Nearest servo position of a URDF angle, not clamped to the range. ValueError unless finite."""
        return _whole(self.name, np.rint(self._continuous_ticks(rad)))

    def ticks_to_lerobot(self, ticks: _Value) -> _Value:
        """LeRobot's value for a servo position: degrees unclamped, range units clamped."""
        calibration = self._calibrated()
        low, high = calibration.range_min, calibration.range_max
        if self._in_degrees:
            return self._from_degrees((ticks - calibration.mid_tick) * 360 / MAX_TICK)
        fraction: _Value = (_clamp(ticks, low, high) - low) / (high - low)
        if self.unit == "range_0_100":
            percent = fraction * 100
            return 100 - percent if calibration.drive_mode else percent
        signed = fraction * 200 - 100
        return -signed if calibration.drive_mode else signed

    @overload
    def lerobot_to_ticks(self, value: float) -> int: ...
    @overload
    def lerobot_to_ticks(self, value: npt.NDArray[Any]) -> IntArray: ...
    def lerobot_to_ticks(self, value: Any) -> int | IntArray:
        """The servo position that LeRobot would command: truncated toward zero. ValueError unless finite."""
        self._calibrated()
        return _whole(self.name, np.trunc(self._lerobot_to_continuous_ticks(value)))

    def rad_to_lerobot(self, rad: _Value) -> _Value:
        """URDF angle in LeRobot's unit, not rounded to ticks; range units are clamped as LeRobot does."""
        if self._in_degrees:
            return self._from_degrees(self.direction * (rad - self.middle_rad) * DEGREES_PER_RAD)
        return self.ticks_to_lerobot(self._continuous_ticks(rad))

    def lerobot_to_rad(self, value: _Value) -> _Value:
        """LeRobot value as URDF angle, not rounded to ticks; range units are clamped as LeRobot does."""
        if self._in_degrees:
            return self.middle_rad + self.direction * self._to_degrees(value) / DEGREES_PER_RAD
        return self.ticks_to_rad(self._lerobot_to_continuous_ticks(value))

    def _continuous_ticks(self, rad: _Value) -> _Value:
        mid_tick = self._calibrated().mid_tick
        return mid_tick + self.direction * (rad - self.middle_rad) / RAD_PER_TICK

    def _lerobot_to_continuous_ticks(self, value: _Value) -> _Value:
        calibration = self._calibrated()
        low, high = calibration.range_min, calibration.range_max
        if self._in_degrees:
            return self._to_degrees(value) * MAX_TICK / 360 + calibration.mid_tick
        if self.unit == "range_0_100":
            percent = 100 - value if calibration.drive_mode else value
            return _clamp(percent, 0, 100) / 100 * (high - low) + low
        signed = -value if calibration.drive_mode else value
        return (_clamp(signed, -100, 100) + 100) / 200 * (high - low) + low

    @property
    def _in_degrees(self) -> bool:
        return self.unit in ("degrees", "degrees_old_calibration")

    @property
    def _old(self) -> tuple[float, float]:
        """Sign and offset that make degrees those of this unit."""
        unchanged = (1.0, 0.0)
        return unchanged if self.unit == "degrees" else OLD_CALIBRATION.get(self.name, unchanged)

    def _from_degrees(self, degrees: _Value) -> _Value:
        sign, offset = self._old
        return sign * degrees + offset

    def _to_degrees(self, value: _Value) -> _Value:
        sign, offset = self._old
        return (value - offset) * sign

    def _calibrated(self) -> MotorCalibration:
        if self.calibration is None:
            raise CalibrationError(
                f"joint '{self.name}' (unit {self.unit}) has no calibration, so its ticks and range units "
                "cannot be converted; give LeRobot's calibration file of this arm"
            )
        return self.calibration


def positions_to_lerobot(units: Sequence[JointUnits], positions_rad: FloatArray) -> Float32Array:
    """Positions (..., joints) in LeRobot's units, as datasets and checkpoints hold them; raises CalibrationError."""
    columns = [joint.rad_to_lerobot(positions_rad[..., index]) for index, joint in enumerate(units)]
    return np.stack(columns, axis=-1).astype(np.float32)


def positions_from_lerobot(units: Sequence[JointUnits], values: npt.NDArray[Any]) -> FloatArray:
    """Values (..., joints) of a dataset or checkpoint in rad; raises CalibrationError."""
    columns = [
        joint.lerobot_to_rad(values[..., index].astype(np.float64)) for index, joint in enumerate(units)
    ]
    return np.stack(columns, axis=-1)


def load_calibration(path: str | Path, joint_names: Iterable[str] = ()) -> dict[str, MotorCalibration]:
    """Read a LeRobot calibration file; every name of `joint_names` must be in it. Raises CalibrationError."""
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CalibrationError(
            f"calibration file '{path}' cannot be read: {error.strerror}. LeRobot keeps them in "
            "~/.cache/huggingface/lerobot/calibration/robots/<robot name>/<id>.json"
        ) from error
    except ValueError as error:  # not JSON, or not text
        raise CalibrationError(f"calibration file '{path}' is not valid JSON: {error}") from error
    if not isinstance(data, dict) or not data:
        raise CalibrationError(
            f"calibration file '{path}' must map joint names to motors, it holds {data!r:.80}"
        )
    missing = [name for name in joint_names if name not in data]
    if missing:
        raise CalibrationError(
            f"calibration file '{path}' has no joint {', '.join(missing)}; it has {', '.join(data)}. "
            "Calibrate the whole arm again, or give the file of this arm"
        )
    where = f"calibration file '{path}', joint"
    calibration = {name: _motor(f"{where} '{name}'", entry) for name, entry in data.items()}
    ids = [motor.id for motor in calibration.values()]
    repeated = [name for name, motor in calibration.items() if ids.count(motor.id) > 1]
    if repeated:
        raise CalibrationError(
            f"calibration file '{path}': {', '.join(repeated)} share a servo id; ids must differ"
        )
    return calibration


def save_calibration(path: str | Path, calibration: Mapping[str, MotorCalibration]) -> None:
    """Write a calibration file that LeRobot can read; raises CalibrationError if it cannot be written."""
    text = json.dumps({name: asdict(motor) for name, motor in calibration.items()}, indent=4)
    try:
        Path(path).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CalibrationError(f"calibration file '{path}' cannot be written: {error.strerror}") from error


def _motor(where: str, entry: Any) -> MotorCalibration:
    if not isinstance(entry, dict):
        raise CalibrationError(f"{where}: expected a mapping with {', '.join(_FIELDS)}, got {entry!r:.80}")
    values: dict[str, int] = {}
    for key in _FIELDS:
        if key not in entry:
            raise CalibrationError(f"{where}: '{key}' is missing; it has {', '.join(entry) or 'nothing'}")
        value = entry[key]
        if isinstance(value, bool) or not isinstance(value, int):
            raise CalibrationError(f"{where}: {key} must be a whole number, got {value!r}")
        values[key] = value
    motor = MotorCalibration(**values)
    _check_between(where, "id", motor.id, 0, 253)
    _check_between(where, "drive_mode", motor.drive_mode, 0, 1)
    _check_between(where, "homing_offset", motor.homing_offset, -MAX_HOMING_OFFSET, MAX_HOMING_OFFSET)
    _check_between(where, "range_min", motor.range_min, 0, MAX_TICK)
    _check_between(where, "range_max", motor.range_max, 0, MAX_TICK)
    if motor.range_min >= motor.range_max:
        raise CalibrationError(
            f"{where}: range_min {motor.range_min} must be below range_max {motor.range_max}; "
            "calibrate this joint again and move it through its whole range"
        )
    return motor


def _check_between(where: str, key: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise CalibrationError(f"{where}: {key} must be {low} .. {high}, got {value}; calibrate it again")


def _clamp(value: _Value, low: float, high: float) -> _Value:
    clamped: _Value = np.clip(value, low, high)
    return clamped


def _whole(name: str, ticks: Any) -> int | IntArray:
    if not np.all(np.isfinite(ticks)):
        raise ValueError(f"joint '{name}': cannot convert {ticks} to ticks, the position must be finite")
    return ticks.astype(np.int64) if isinstance(ticks, np.ndarray) else int(ticks)
