# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot file: joints, limits, cameras and the rate of the policy's training data.

One YAML file (`config/so100.yaml`) for all nodes and tools. Position and speed limits come from the URDF that it names.
Unknown keys and joints that are not in the URDF raise RobotSpecError.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import yaml

from smolvla_ros.arrays import FloatArray
from smolvla_ros.units import JointUnits, MotorCalibration, Unit
from smolvla_ros.urdf import Urdf, UrdfError

UNITS: tuple[Unit, ...] = get_args(Unit)


class RobotSpecError(ValueError):
    """The robot file cannot be used; the message names file, key, value and remedy."""


@dataclass(frozen=True)
class JointSpec:
    """One joint: its servo, its limits (URDF) and how its angle relates to LeRobot's units."""

    name: str
    servo_id: int
    direction: int  # +1 or -1: sign of LeRobot's positive direction on the URDF axis
    middle_rad: float  # URDF angle at the middle of the joint's calibrated range, LeRobot's zero
    unit: Unit  # unit of this joint in LeRobot datasets and checkpoints
    lower_rad: float
    upper_rad: float
    max_speed_rad_s: float
    max_acceleration_rad_s2: float = math.inf  # not in the URDF; the executor's own limit applies too

    @property
    def is_gripper(self) -> bool:
        """Whether it is a gripper, which may stay behind its command while it holds an object."""
        return self.unit == "range_0_100"

    def units(self, calibration: MotorCalibration | None = None) -> JointUnits:
        """The conversions of this joint between ticks, radians and LeRobot's units."""
        return JointUnits(
            name=self.name,
            unit=self.unit,
            direction=self.direction,
            middle_rad=self.middle_rad,
            calibration=calibration,
        )


@dataclass(frozen=True)
class CameraSpec:
    """One camera: its ROS namespace and its key in the checkpoint."""

    name: str  # also the namespace: <name>/image_raw
    image_key: str  # the checkpoint's short name, after "observation.images."
    width: int
    height: int
    rate_hz: float
    frame_id: str


@dataclass(frozen=True)
class RobotSpec:
    """A robot. Arrays everywhere are in the order of `joints`."""

    name: str
    joints: tuple[JointSpec, ...]
    cameras: tuple[CameraSpec, ...]
    rate_hz: float  # frames per second of the policy's training data: one action every 1 / rate_hz
    urdf_path: Path

    @property
    def joint_names(self) -> tuple[str, ...]:
        return tuple(joint.name for joint in self.joints)

    @property
    def lower_rad(self) -> FloatArray:
        """Lower position limits, shape (joints,)."""
        return np.array([joint.lower_rad for joint in self.joints])

    @property
    def upper_rad(self) -> FloatArray:
        """Upper position limits, shape (joints,)."""
        return np.array([joint.upper_rad for joint in self.joints])

    @property
    def max_speed_rad_s(self) -> FloatArray:
        """Speed limits, shape (joints,)."""
        return np.array([joint.max_speed_rad_s for joint in self.joints])

    @property
    def max_acceleration_rad_s2(self) -> FloatArray:
        """Acceleration limits, shape (joints,); infinite where the robot file has none."""
        return np.array([joint.max_acceleration_rad_s2 for joint in self.joints])

    def camera(self, name: str) -> CameraSpec:
        """The camera called `name`; raises RobotSpecError naming the nearest one."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise RobotSpecError(
            f"robot '{self.name}' has no camera '{name}'{_nearest(name, (c.name for c in self.cameras))}"
        )

    def select_cameras(self, names: Iterable[str]) -> tuple[CameraSpec, ...]:
        """The cameras called `names`, in the robot file's order; raises RobotSpecError on an unknown name."""
        wanted = {self.camera(name).name for name in names}
        return tuple(camera for camera in self.cameras if camera.name in wanted)

    def with_cameras(self, **changes: Any) -> RobotSpec:
        """This robot with these fields of all its cameras changed."""
        return replace(self, cameras=tuple(replace(camera, **changes) for camera in self.cameras))

    def units(self, calibration: Mapping[str, MotorCalibration] | None) -> tuple[JointUnits, ...]:
        """Unit conversions of every joint. A given calibration must name every joint."""
        if calibration is None:
            return tuple(joint.units() for joint in self.joints)
        missing = [name for name in self.joint_names if name not in calibration]
        if missing:
            raise RobotSpecError(
                f"the calibration has no entry for {', '.join(missing)}; it has {', '.join(calibration)}. "
                "Calibrate the whole arm again, or give the file that belongs to this robot"
            )
        for joint in self.joints:
            if calibration[joint.name].id != joint.servo_id:
                raise RobotSpecError(
                    f"the calibration has {joint.name} as servo {calibration[joint.name].id}, robot '{self.name}' as "
                    f"{joint.servo_id}. Give the calibration of this arm, or its robot file"
                )
        return tuple(joint.units(calibration[joint.name]) for joint in self.joints)

    @classmethod
    def load(cls, path: str | Path) -> RobotSpec:
        """Read and check a robot file; raises RobotSpecError."""
        path = Path(path)
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RobotSpecError(f"robot file '{path}' cannot be read: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise RobotSpecError(f"robot file '{path}' is not valid YAML: {error}") from error
        root = _Table(data, path.name)
        urdf_path = (path.parent / root.text("urdf")).resolve()
        try:
            urdf = Urdf.load(urdf_path)
        except UrdfError as error:
            raise RobotSpecError(f"{path.name}: urdf: {error}") from error
        spec = cls(
            name=root.text("name"),
            rate_hz=root.positive("rate_hz"),
            urdf_path=urdf_path,
            joints=tuple(_joint(table, urdf) for table in root.tables("joints")),
            cameras=tuple(_camera(table) for table in root.tables("cameras")),
        )
        root.finish()
        _check_unique("joint", path, [joint.name for joint in spec.joints])
        _check_unique("servo_id", path, [str(joint.servo_id) for joint in spec.joints])
        _check_unique("camera", path, [camera.name for camera in spec.cameras])
        _check_unique("image_key", path, [camera.image_key for camera in spec.cameras])
        return spec


@dataclass(frozen=True, eq=False)
class Joints:
    """Joint states: arrays of shape (joints,) in the order of `RobotSpec.joints`."""

    stamp_ns: int  # when they were read
    positions_rad: FloatArray
    velocities_rad_s: FloatArray
    efforts: FloatArray = field(default_factory=lambda: np.zeros(0))  # load as a fraction of the stall torque


def _joint(table: _Table, urdf: Urdf) -> JointSpec:
    name = table.text("name")
    joint = urdf.joints.get(name)
    if joint is None:
        raise RobotSpecError(f"{table.where}: the URDF has no joint '{name}'{_nearest(name, urdf.joints)}")
    if joint.lower is None or joint.upper is None or joint.velocity is None or joint.lower >= joint.upper:
        raise RobotSpecError(
            f"{table.where}: joint '{name}' needs <limit lower upper velocity> in the URDF with lower < upper, "
            f"it has lower={joint.lower}, upper={joint.upper}, velocity={joint.velocity}"
        )
    middle_rad = table.number("middle_rad")
    if not joint.lower <= middle_rad <= joint.upper:
        raise RobotSpecError(
            f"{table.where}.middle_rad: {middle_rad} is outside the URDF limits {joint.lower} .. {joint.upper}"
        )
    spec = JointSpec(
        name=name,
        servo_id=table.integer("servo_id"),
        direction=table.integer("direction"),
        middle_rad=middle_rad,
        unit=table.choice("unit", UNITS),
        lower_rad=joint.lower,
        upper_rad=joint.upper,
        max_speed_rad_s=joint.velocity,
        max_acceleration_rad_s2=table.positive("max_acceleration_rad_s2", math.inf),
    )
    if spec.direction not in (1, -1):
        raise RobotSpecError(f"{table.where}.direction: must be 1 or -1, got {spec.direction}")
    if not 0 <= spec.servo_id <= 253:
        raise RobotSpecError(f"{table.where}.servo_id: must be 0 .. 253, got {spec.servo_id}")
    table.finish()
    return spec


def _camera(table: _Table) -> CameraSpec:
    spec = CameraSpec(
        name=table.text("name"),
        image_key=table.text("image_key"),
        width=table.integer("width"),
        height=table.integer("height"),
        rate_hz=table.positive("rate_hz"),
        frame_id=table.text("frame_id"),
    )
    if spec.width < 1 or spec.height < 1:
        raise RobotSpecError(
            f"{table.where}: width and height must be positive, got {spec.width}x{spec.height}"
        )
    table.finish()
    return spec


class _Table:
    """A YAML mapping read key by key; `finish` raises RobotSpecError for keys that were not read."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise RobotSpecError(f"{where}: expected a mapping of keys to values, got {data!r}")
        self.where = where
        self._data: dict[str, Any] = dict(data)
        self._read: set[str] = set()

    def _take(self, key: str) -> Any:
        self._read.add(key)
        if key not in self._data:
            raise RobotSpecError(f"{self.where}: key '{key}' is missing{_nearest(key, self._data)}")
        return self._data[key]

    def text(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str) or not value:
            raise RobotSpecError(f"{self.where}.{key}: expected text, got {value!r}")
        return value

    def choice(self, key: str, choices: tuple[Unit, ...]) -> Unit:
        value = self.text(key)
        for choice in choices:
            if value == choice:
                return choice
        raise RobotSpecError(f"{self.where}.{key}: '{value}' is not one of {', '.join(choices)}")

    def number(self, key: str) -> float:
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise RobotSpecError(f"{self.where}.{key}: expected a finite number, got {value!r}")
        return float(value)

    def positive(self, key: str, default: float | None = None) -> float:
        if default is not None and key not in self._data:
            return default
        value = self.number(key)
        if value <= 0:
            raise RobotSpecError(f"{self.where}.{key}: must be above 0, got {value}")
        return value

    def integer(self, key: str) -> int:
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise RobotSpecError(f"{self.where}.{key}: expected a whole number, got {value!r}")
        return value

    def tables(self, key: str) -> list[_Table]:
        value = self._take(key)
        if not isinstance(value, list) or not value:
            raise RobotSpecError(
                f"{self.where}.{key}: expected a list with at least one entry, got {value!r}"
            )
        return [_Table(entry, f"{self.where}.{key}[{index}]") for index, entry in enumerate(value)]

    def finish(self) -> None:
        unknown = [key for key in self._data if key not in self._read]
        if unknown:
            raise RobotSpecError(
                f"{self.where}: unknown key '{unknown[0]}'{_nearest(unknown[0], self._read)}"
            )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name, with the most similar known one, or an empty string."""
    match = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean '{match[0]}'?" if match else ""


def _check_unique(what: str, path: Path, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise RobotSpecError(f"{path.name}: {what} '{value}' is defined {values.count(value)} times")


def _nearest(name: str, known: Iterable[str]) -> str:
    names = [str(entry) for entry in known]
    return f" (known: {', '.join(names)}){did_you_mean(name, names)}"
