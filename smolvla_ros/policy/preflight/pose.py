# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distance of the arm's pose from the states in the policy's training data.

The last check before motion, and the only one that uses the measured pose: with wrong units, another arm's calibration
or another order of joints the pose is outside the data.

Distances are |value - mean| in standard deviations (sigma) of the state statistics. Uniformly distributed data end at
1.7 sigma, and an arm at rest beside its workspace is at 2 to 4, so from 4 on there is a warning. From `max_sigma` (6 by
default) on the policy must not start: with a std of 20 degrees that is 120 degrees from the mean. The std of a joint
that hardly moved in the data is near 0; at least 5 units (degrees or hundredths of the range) are used, so that it may
be 20 units off before the warning and 30 before the error. Where the data's min and max are known, a joint within 5
units of them is accepted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smolvla_ros.feature_statistics import Values
from smolvla_ros.finding import Finding
from smolvla_ros.policy.preflight.unit_evidence import extents
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import UNIT_TEXT, CalibrationError, MotorCalibration

DEFAULT_MAX_SIGMA = 6.0
WARN_SIGMA = 4.0
MIN_STD = 5.0  # LeRobot units
BEYOND_LIMITS_RAD = 0.5  # assembly and calibration by hand cause smaller differences


@dataclass(frozen=True)
class JointPose:
    """One joint's position compared with the policy's statistics."""

    name: str
    value: float  # in the policy's units
    unit: str  # its UNIT_TEXT
    mean: float
    std: float
    sigma: float  # |value - mean| / max(std, MIN_STD)
    in_data_range: bool  # within the data's min and max, if they are known

    def __str__(self) -> str:
        seen = f"{self.mean:.1f} +- {self.std:.1f}"
        return f"{self.name} at {self.value:.1f} ({self.unit}) is {self.sigma:.0f} sigma from {seen}"


def compare_pose(
    robot: RobotSpec,
    calibration: Mapping[str, MotorCalibration] | None,
    state: Values,
    positions_rad: npt.ArrayLike,
) -> tuple[JointPose, ...]:
    """Every joint with statistics whose unit can be converted (0..100 and -100..100 need the calibration).

    `state`: the statistics of observation.state, (joints,) each; `positions_rad`: (joints,), in the robot's order.
    """
    poses = []
    positions = np.asarray(positions_rad, float).tolist()
    for index, (units, extent) in enumerate(zip(robot.units(calibration), extents(state), strict=False)):
        try:
            value = units.rad_to_lerobot(positions[index])
        except CalibrationError:
            continue
        seen = [float(state[name][index]) for name in ("min", "max") if name in state]
        in_data_range = len(seen) == 2 and seen[0] - MIN_STD <= value <= seen[1] + MIN_STD
        sigma = abs(value - extent.mean) / max(extent.std, MIN_STD)
        unit = UNIT_TEXT[units.unit]
        poses.append(JointPose(units.name, value + 0.0, unit, extent.mean, extent.std, sigma, in_data_range))
    return tuple(poses)


def check_pose(
    robot: RobotSpec,
    calibration: Mapping[str, MotorCalibration] | None,
    state: Values,
    positions_rad: npt.ArrayLike,
    max_sigma: float = DEFAULT_MAX_SIGMA,
) -> Finding | None:
    """The problem with starting the policy at this pose, if any; arguments as `compare_pose`. `max_sigma` 0: None."""
    if not max_sigma:
        return None
    positions = np.asarray(positions_rad, float)
    beyond = np.maximum(robot.lower_rad - positions, positions - robot.upper_rad)
    if beyond.max() > BEYOND_LIMITS_RAD:
        return _beyond_limits(robot, positions.tolist(), beyond.tolist())
    poses = compare_pose(robot, calibration, state, positions)
    far = [pose for pose in poses if pose.sigma >= min(WARN_SIGMA, max_sigma) and not pose.in_data_range]
    if not far:
        return None
    farthest = max(far, key=lambda pose: pose.sigma)
    refused = farthest.sigma >= max_sigma
    return Finding(
        "error" if refused else "warning",
        "pose",
        f"this pose is {farthest.sigma:.0f} sigma from anything the policy saw: {'; '.join(map(str, far))}",
        "Wrong units or calibration? If it is neither, move the arm to where the data start"
        + (" or raise max_pose_sigma (0 disables)" if refused else ""),
    )


def _beyond_limits(robot: RobotSpec, positions: Sequence[float], beyond: Sequence[float]) -> Finding:
    worst = beyond.index(max(beyond))
    joint = robot.joints[worst]
    degrees = abs(positions[worst]) > math.tau
    return Finding(
        "error",
        "pose",
        f"{joint.name} stands at {positions[worst]:.2f} rad, its limits are {joint.lower_rad:.2f}.."
        f"{joint.upper_rad:.2f}{': are these degrees?' if degrees else ''}",
        "joint_states must be in radians and of this arm: check who publishes them, and the calibration",
    )
