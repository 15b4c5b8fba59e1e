# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compares the units in the robot file with a checkpoint's statistics.

LeRobot does not store the unit. It is degrees from the middle of the calibrated range (since 0.4.4), -100..100 of that
range (the default before), or degrees of the older calibration (the data of smolvla_base), with another zero pose and
shoulder_lift inverted; data of other software may be in radians. The gripper is always 0..100. With a wrong unit the
arm moves smoothly to wrong poses.

Statistics are evidence only: positions in the data must be within the joint's reach, and -100..100 is clamped. If the
configured unit contradicts that, the check fails; if another unit fits too, the user has to confirm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from smolvla_ros.feature_statistics import Values
from smolvla_ros.finding import Finding, Severity
from smolvla_ros.robot import JointSpec, RobotSpec
from smolvla_ros.units import DEGREES_PER_RAD, MAX_TICK, OLD_CALIBRATION, UNIT_TEXT, MotorCalibration, Unit

Bounds = tuple[float, float]

GRIPPER_UNIT: Unit = "range_0_100"
# with the parameter `units`
CONFIRMABLE: tuple[Unit, ...] = tuple(unit for unit in get_args(Unit) if unit != GRIPPER_UNIT)
UNIT_NAMES: dict[str, str] = {unit: UNIT_TEXT[unit] for unit in CONFIRMABLE}
UNIT_NAMES["radians"] = "radians"

DEGREES_TOLERANCE = 20.0  # calibration by hand: the arm of the data may reach further
RANGE_TOLERANCE = 1.0  # clamped by LeRobot
GRIPPER_BOUNDS = (-20.0, 120.0)  # the older calibration did not clamp
LARGEST_RADIANS = 3.3  # a little over half a turn; in no task do all joints stay within 3.3 degrees
CLAMPED = 0.01  # a value this near to 100 has been clamped
CLAMPED_ENDS = 2  # so many clamped values exclude degrees; one may be a coincidence
IMPOSSIBLE, DOUBTFUL, FITS = 0, 1, 2
SHOWN = 3  # mismatches that a message names
CONFIGURED = "configured"
REMEDIES: dict[str, str] = {
    unit: f"If the policy was trained so, set `unit: {unit}` of the arm's joints in the robot file"
    for unit in CONFIRMABLE
}
REMEDIES["radians"] = "Train on LeRobot's units, or give the `stats` of the data set in them"
REMEDIES[""] = (
    "Give the robot file and the calibration that belong to the data, or fine-tune on data of this arm"
)
OVERRULE = f"If you know better, `units` ({' or '.join(CONFIRMABLE)}) overrules this"


@dataclass(frozen=True)
class Extent:
    """The range of one joint in the data."""

    low: float
    high: float
    mean: float
    std: float
    measured: bool  # low and high are q01 and q99 or min and max; else they are estimated from mean and std

    def fit(self, bounds: Bounds) -> int:
        """IMPOSSIBLE, DOUBTFUL or FITS within the bounds.

        Data of this mean and std can lie within low..high only if std^2 <= (high - mean) * (mean - low) (Bhatia and
        Davis, 2000). Uniformly distributed data reach mean +- sqrt(3) * std, others possibly less, so beyond that it is
        doubtful.
        """
        low, high = bounds
        if not self.beyond(bounds):
            return FITS
        inside = low <= self.mean <= high and self.std**2 <= (high - self.mean) * (self.mean - low)
        return DOUBTFUL if inside and not self.measured else IMPOSSIBLE

    def beyond(self, bounds: Bounds) -> float:
        return max(bounds[0] - self.low, self.high - bounds[1], 0.0)

    def __str__(self) -> str:
        return f"{'' if self.measured else 'about '}{self.low:.3g}..{self.high:.3g}"


@dataclass(frozen=True)
class UnitFit:
    """How well the statistics fit one unit, by the worst joint."""

    rank: int
    beyond: float  # summed over the joints
    mismatches: tuple[str, ...]


def extents(values: Values) -> tuple[Extent, ...]:
    """One for each joint; empty without statistics. Quantiles, if there are any, exclude outliers."""
    low, high, mean, std = (
        next((values[name].astype(float) for name in names if name in values), None)
        for names in (("q01", "min"), ("q99", "max"), ("mean",), ("std",))
    )
    measured = low is not None and high is not None
    if low is not None and high is not None:
        mean = (low + high) / 2 if mean is None else mean
        std = (high - low) / math.sqrt(12) if std is None else std  # of uniformly distributed data
    elif mean is not None and std is not None:
        low, high = mean - math.sqrt(3) * std, mean + math.sqrt(3) * std
    else:
        return ()
    rows = zip(low.tolist(), high.tolist(), mean.tolist(), std.tolist(), strict=True)
    return tuple(Extent(low, high, mean, std, measured) for low, high, mean, std in rows)


def reach_degrees(joint: JointSpec, motor: MotorCalibration | None) -> Bounds:
    """The reach of a joint in LeRobot's degrees: its calibrated range, else the limits of the URDF."""
    if motor is not None:
        half = (motor.range_max - motor.range_min) * 360 / MAX_TICK / 2
        return -half, half
    ends = [
        joint.direction * (rad - joint.middle_rad) * DEGREES_PER_RAD
        for rad in (joint.lower_rad, joint.upper_rad)
    ]
    return min(ends), max(ends)


def with_units(robot: RobotSpec, units: str) -> RobotSpec:
    """The robot with this unit for all joints but those in 0..100; unchanged for ""."""
    if not units:
        return robot
    [unit] = [known for known in CONFIRMABLE if known == units]
    return replace(
        robot, joints=tuple(j if j.unit == GRIPPER_UNIT else replace(j, unit=unit) for j in robot.joints)
    )


def check_units(
    robot: RobotSpec,
    calibration: Mapping[str, MotorCalibration] | None,
    statistics: Mapping[str, Values],
    confirmed: bool,
) -> Finding | None:
    """Compare the statistics, by feature (state and action), with the units in `robot`.

    An error if they contradict, a warning if they are ambiguous. `confirmed`: the user has given the unit; then a
    contradiction is a warning too.
    """
    found = {feature: of_joints for feature, values in statistics.items() if (of_joints := extents(values))}
    if not found:
        return None if confirmed else _confirmation("there are no statistics to tell the units from", robot)
    fits = _fits(robot, calibration or {}, found)
    configured = fits.pop(CONFIGURED)
    best_unit, best = max(fits.items(), key=lambda item: (item[1].rank, -item[1].beyond))
    gripper = _gripper_mismatches(robot, found)
    if configured.rank == IMPOSSIBLE or configured.rank < best.rank or gripper:
        message, remedy = "the statistics are not in the gripper's unit", REMEDIES[""]
        if configured.rank == IMPOSSIBLE or configured.rank < best.rank:
            likeness = "look like" if best.rank == FITS else "come nearest to"
            message = f"the statistics {likeness} {UNIT_NAMES[best_unit]}, but {_configured_units(robot, confirmed)}"
            remedy = REMEDIES[best_unit if best.rank > IMPOSSIBLE else ""]
        evidence = "; ".join([*configured.mismatches[:SHOWN], *gripper[:1]])
        severity: Severity = "warning" if confirmed else "error"
        return Finding(
            severity, "units", f"{message}: {evidence}", "" if confirmed else f"{remedy}. {OVERRULE}"
        )
    if confirmed:
        return None
    if configured.rank == DOUBTFUL:
        nearer = f", come nearer to {UNIT_NAMES[best_unit]}" if best.beyond < configured.beyond else ""
        evidence = "; ".join(configured.mismatches[:SHOWN])
        return _confirmation(f"the statistics leave a doubt about the units{nearer}: {evidence}", robot)
    alike = [UNIT_NAMES[name] for name, fit in fits.items() if fit.rank == FITS]
    return _confirmation(f"the statistics could as well be {' or '.join(alike)}", robot) if alike else None


def _fits(
    robot: RobotSpec, calibration: Mapping[str, MotorCalibration], found: Mapping[str, Sequence[Extent]]
) -> dict[str, UnitFit]:
    """How the arm's statistics fit the configured units (CONFIGURED), and every other unit."""
    arm = {index: joint for index, joint in enumerate(robot.joints) if joint.unit != GRIPPER_UNIT}
    observed = [
        (joint, name, of_joints[index]) for index, joint in arm.items() for name, of_joints in found.items()
    ]
    bounds = _bounds(tuple(arm.values()), calibration)
    units = {joint.name: joint.unit if joint.unit in bounds else "degrees" for joint in arm.values()}
    bounds[CONFIGURED] = {name: bounds[unit][name] for name, unit in units.items()}
    fits = {unit: _read(observed, of_joints) for unit, of_joints in bounds.items()}
    if fits["radians"].rank == FITS:
        evidence = tuple(f"{joint.name} of {feature} is {extent}" for joint, feature, extent in observed)
        other = UnitFit(IMPOSSIBLE, math.inf, evidence)
        fits = {unit: fit if unit == "radians" else other for unit, fit in fits.items()}
    clamped = tuple(
        f"{joint.name} of {feature} ends at {end:.0f} exactly"
        for joint, feature, extent in observed
        for end in (extent.low, extent.high)
        if extent.measured and abs(abs(end) - 100) < CLAMPED
    )
    if len(clamped) >= CLAMPED_ENDS:
        degrees = fits["degrees"]
        fits["degrees"] = replace(
            degrees, rank=min(degrees.rank, DOUBTFUL), mismatches=degrees.mismatches + clamped
        )
    if len(configured := set(units.values())) == 1:
        fits[CONFIGURED] = fits.pop(configured.pop())
    return fits


def _bounds(
    joints: Sequence[JointSpec], calibration: Mapping[str, MotorCalibration]
) -> dict[str, dict[str, Bounds]]:
    """Unit -> joint -> its possible range, with tolerance."""
    degrees = {}
    for joint in joints:
        low, high = reach_degrees(joint, calibration.get(joint.name))
        degrees[joint.name] = low - DEGREES_TOLERANCE, high + DEGREES_TOLERANCE
    largest = 100 + RANGE_TOLERANCE
    bounds = {
        "degrees": degrees,
        "range_m100_100": dict.fromkeys(degrees, (-largest, largest)),
        "radians": dict.fromkeys(degrees, (-LARGEST_RADIANS, LARGEST_RADIANS)),
    }
    if set(OLD_CALIBRATION) & set(degrees):  # without these joints it is the same as degrees
        bounds["degrees_old_calibration"] = {
            name: _old_calibration(name, *ends) for name, ends in degrees.items()
        }
    return bounds


def _old_calibration(name: str, low: float, high: float) -> Bounds:
    sign, offset = OLD_CALIBRATION.get(name, (1.0, 0.0))
    ends = sign * low + offset, sign * high + offset
    return min(ends), max(ends)


def _read(observed: Sequence[tuple[JointSpec, str, Extent]], bounds: Mapping[str, Bounds]) -> UnitFit:
    """How well the observed ranges, by joint and feature, fit the bounds of one unit."""
    rank, beyond, mismatches = FITS, 0.0, []
    for joint, feature, extent in observed:
        low, high = bounds[joint.name]
        fit = extent.fit((low, high))
        if fit != FITS:
            rank, beyond = min(rank, fit), beyond + extent.beyond((low, high))
            mismatches.append(f"{joint.name} of {feature} is {extent}, possible {low:.0f}..{high:.0f}")
    return UnitFit(rank, beyond, tuple(mismatches))


def _gripper_mismatches(robot: RobotSpec, found: Mapping[str, Sequence[Extent]]) -> list[str]:
    return [
        f"{joint.name} of {feature} is {of_joints[index]}, possible 0..100"
        for index, joint in enumerate(robot.joints)
        for feature, of_joints in found.items()
        if joint.unit == GRIPPER_UNIT and of_joints[index].fit(GRIPPER_BOUNDS) == IMPOSSIBLE
    ]


def _configured_units(robot: RobotSpec, confirmed: bool) -> str:
    units = {UNIT_NAMES[joint.unit]: joint.name for joint in robot.joints if joint.unit != GRIPPER_UNIT}
    return f"{'`units`' if confirmed else 'the robot file'} says {' and '.join(units)}"


def _confirmation(message: str, robot: RobotSpec) -> Finding:
    units = {joint.unit for joint in robot.joints if joint.unit != GRIPPER_UNIT}
    confirm = " or ".join(f"`units:={unit}`" for unit in CONFIRMABLE)
    return Finding(
        "warning",
        "units",
        f"{message}; {_configured_units(robot, False)}",
        f"Confirm it: {confirm}" if len(units) == 1 else "",
    )
