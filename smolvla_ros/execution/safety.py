# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last word on every command: finite, within the URDF's limits, and at most a step from the last one.

It knows where the arm was told to go and nothing of why. It never invents a motion: what it changes, it only
brings closer to the last command or to the limits' inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smolvla_ros.execution.trajectory import FloatArray
from smolvla_ros.robot import RobotSpec

BoolArray = npt.NDArray[np.bool_]

MAX_OUTSIDE_RAD = 0.2  # a pose further outside its limits than backlash and calibration explain is a mistake


class SafetyError(ValueError):
    """A position that is no number; there is no safe command near it."""


@dataclass(frozen=True, eq=False)
class LimitedCommand:
    """Positions (joints,) rad that may be sent, and which joints were held back by what, (joints,) each."""

    positions_rad: FloatArray
    by_position: BoolArray
    by_step: BoolArray

    @property
    def clamped(self) -> BoolArray:
        """Joints that were held back by anything, shape (joints,)."""
        return self.by_position | self.by_step


class SafetyLimiter:
    """Limits of one robot at one control period."""

    def __init__(self, robot: RobotSpec, max_step_rad: float, period_s: float) -> None:
        self._joints = robot.joints
        self._lower_rad = robot.lower_rad
        self._upper_rad = robot.upper_rad
        self.step_rad = np.minimum(max_step_rad, robot.max_speed_rad_s * period_s)  # (joints,), the full step

    def limit(self, target_rad: FloatArray, last_rad: FloatArray, scale: float = 1.0) -> LimitedCommand:
        """The command nearest to `target_rad` that may follow `last_rad`; `scale` (0 .. 1) shrinks the step.

        A last command outside the limits (the arm was pushed there) is followed by moves inward only.
        Raises SafetyError on a position that is not finite.
        """
        self._check_finite("target", target_rad)
        self._check_finite("last command", last_rad)
        inside = np.clip(target_rad, self._lower_rad, self._upper_rad)
        step = scale * self.step_rad
        positions = np.clip(inside, last_rad - step, last_rad + step)
        return LimitedCommand(positions, inside != target_rad, positions != inside)

    def start_doubt(self, positions_rad: FloatArray) -> str:
        """Why no motion may begin at this pose, in words; empty when one may."""
        for joint, position in zip(self._joints, positions_rad, strict=True):
            if not joint.lower_rad - MAX_OUTSIDE_RAD <= position <= joint.upper_rad + MAX_OUTSIDE_RAD:
                return (
                    f"{joint.name} is at {position:.2f} rad, its limits are {joint.lower_rad:.2f} .. "
                    f"{joint.upper_rad:.2f}; move it inside by hand, or check the calibration"
                )
        return ""

    def _check_finite(self, what: str, positions: FloatArray) -> None:
        for joint, position in zip(self._joints, positions, strict=True):
            if not np.isfinite(position):
                raise SafetyError(f"the {what} of {joint.name} is {position}; nothing is sent")
