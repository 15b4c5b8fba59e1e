# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last word on every command: finite, inside the URDF's limits, no faster and no more sudden than allowed.

It knows where the arm was told to go and nothing of why. Speed and acceleration are counted in control periods: a
step is what a command changes from one period to the next, and the step itself changes by at most
`acceleration_step_rad`. Whatever is asked for, the step stays one from which the arm can still come to rest before a
position limit.
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
    by_acceleration: BoolArray

    @property
    def clamped(self) -> BoolArray:
        """Joints that were held back by anything, shape (joints,)."""
        return self.by_position | self.by_step | self.by_acceleration


class SafetyLimiter:
    """Limits of one robot at one control period. `max_acceleration_rad_s2` is on top of the robot file's."""

    def __init__(
        self, robot: RobotSpec, max_step_rad: float, max_acceleration_rad_s2: float, period_s: float
    ) -> None:
        self._joints = robot.joints
        self._lower_rad = robot.lower_rad
        self._upper_rad = robot.upper_rad
        acceleration_rad_s2 = np.minimum(max_acceleration_rad_s2, robot.max_acceleration_rad_s2)
        self.step_rad = np.minimum(max_step_rad, robot.max_speed_rad_s * period_s)  # (joints,), the full step
        self.acceleration_step_rad = acceleration_rad_s2 * period_s**2  # (joints,), how far a step may change

    def limit(
        self,
        target_rad: FloatArray,
        last_rad: FloatArray,
        last_step_rad: FloatArray,
        last_target_rad: FloatArray | None,
        scale: float = 1.0,
    ) -> LimitedCommand:
        """The command towards `target_rad` that may follow `last_rad`; all arrays (joints,), rad.

        last_step_rad: what the last command changed. last_target_rad: what it was to reach, None for nothing. A
        target that moves is followed at its pace, one that stands is approached so as to stop there. scale
        (0 .. 1) shrinks the step limit. A last command outside the limits (the arm was pushed there) is followed
        by moves inward only. Raises SafetyError on a position that is not finite.
        """
        self._check_finite("target", target_rad)
        self._check_finite("last command", last_rad)
        inside = np.clip(target_rad, self._lower_rad, self._upper_rad)
        target_step = (
            np.zeros_like(inside)
            if last_target_rad is None
            else inside - np.clip(last_target_rad, self._lower_rad, self._upper_rad)
        )
        distance = inside - last_rad
        behind = distance - target_step
        near = np.abs(behind) <= self.acceleration_step_rad
        wanted = np.where(near, distance, target_step + self._longest_stoppable_step(behind))
        # a limit that has just shrunk is met by braking, not by a jerk
        most = np.maximum(scale * self.step_rad, np.abs(last_step_rad) - self.acceleration_step_rad)
        step = self._inside(
            np.clip(
                np.clip(wanted, -most, most),
                last_step_rad - self.acceleration_step_rad,
                last_step_rad + self.acceleration_step_rad,
            ),
            last_rad,
        )
        positions = np.where(step == distance, inside, last_rad + step)
        stepped = last_rad + np.clip(distance, -most, most)
        return LimitedCommand(
            positions_rad=self._not_outward(positions, last_rad),
            by_position=inside != target_rad,
            by_step=np.abs(distance) > most,
            by_acceleration=(step != distance) & (np.abs(positions - stepped) > 0.0),
        )

    def brake(self, last_rad: FloatArray, last_step_rad: FloatArray) -> FloatArray:
        """The command (joints,) rad that follows `last_rad` when there is no target: on to rest, no further."""
        step = np.sign(last_step_rad) * np.maximum(np.abs(last_step_rad) - self.acceleration_step_rad, 0.0)
        return self._not_outward(last_rad + self._inside(step, last_rad), last_rad)

    def start_problem(self, positions_rad: FloatArray) -> str:
        """Why no motion may begin at this pose, in words; empty when one may."""
        for joint, position in zip(self._joints, positions_rad, strict=True):
            if not joint.lower_rad - MAX_OUTSIDE_RAD <= position <= joint.upper_rad + MAX_OUTSIDE_RAD:
                return (
                    f"{joint.name} is at {position:.2f} rad, its limits are {joint.lower_rad:.2f} .. "
                    f"{joint.upper_rad:.2f}; move it inside by hand, or check the calibration"
                )
        return ""

    def _inside(self, step_rad: FloatArray, last_rad: FloatArray) -> FloatArray:
        """The step, cut to one after which the arm can still stop before its position limits."""
        up = self._longest_stoppable_step(np.maximum(self._upper_rad - last_rad, 0.0))
        down = self._longest_stoppable_step(np.maximum(last_rad - self._lower_rad, 0.0))
        cut: FloatArray = np.clip(step_rad, -down, up)
        return cut

    def _longest_stoppable_step(self, distance_rad: FloatArray) -> FloatArray:
        """The longest step towards `distance_rad` (signed) from which the steps can shrink to nothing in time.

        Steps s, s - a, s - 2a ... over n + 1 periods cover (n + 1) s - a n (n + 1) / 2; solved for s, with the n
        for which s lies between n a and (n + 1) a.
        """
        distance, a = np.abs(distance_rad), self.acceleration_step_rad
        n = np.floor((np.sqrt(1.0 + 8.0 * distance / a) - 1.0) / 2.0)
        longest: FloatArray = np.sign(distance_rad) * (distance / (n + 1.0) + a * n / 2.0)
        return longest

    def _not_outward(self, positions_rad: FloatArray, last_rad: FloatArray) -> FloatArray:
        """Rounding leads no hair outside, and what is outside already comes in."""
        lower, upper = np.minimum(self._lower_rad, last_rad), np.maximum(self._upper_rad, last_rad)
        inside: FloatArray = np.clip(positions_rad, lower, upper)
        return inside

    def _check_finite(self, what: str, positions: FloatArray) -> None:
        for joint, position in zip(self._joints, positions, strict=True):
            if not np.isfinite(position):
                raise SafetyError(f"the {what} of {joint.name} is {position}; nothing is sent")
