# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of every command: finite, inside the URDF's position limits, limited speed and acceleration.

Speed and acceleration are per control period: a step is the change of a command from one period to the next, and the
step changes by at most `acceleration_step_rad`. The arm can always come to rest before a position limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import BoolArray, FloatArray
from smolvla_ros.robot import RobotSpec

MAX_OUTSIDE_RAD = 0.2  # backlash and calibration explain no more


class SafetyError(ValueError):
    """A position is not finite."""


@dataclass(frozen=True, eq=False)
class LimitedCommand:
    """Positions (joints,) rad that may be sent, and which joints were limited by what, (joints,) each."""

    positions_rad: FloatArray
    by_position: BoolArray
    by_step: BoolArray
    by_acceleration: BoolArray

    @property
    def clamped(self) -> BoolArray:
        """Joints that were limited by anything, shape (joints,)."""
        return self.by_position | self.by_step | self.by_acceleration


class SafetyLimiter:
    """Limits of one robot at one control period; the robot file's acceleration limits apply too."""

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

        last_step_rad: change by the last command. last_target_rad: its target, or None. A moving target is followed
        at its speed, a fixed one approached so that the arm stops there. scale (0 .. 1) reduces the step limit. If the
        last command is outside the limits (the arm was pushed), only moves inward are allowed. Raises SafetyError for a
        position that is not finite.
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
        # after a reduction of the limit the speed falls with limited acceleration
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
        """The command (joints,) rad after `last_rad` without a target: brakes to rest."""
        step = np.sign(last_step_rad) * np.maximum(np.abs(last_step_rad) - self.acceleration_step_rad, 0.0)
        return self._not_outward(last_rad + self._inside(step, last_rad), last_rad)

    def start_problem(self, positions_rad: FloatArray) -> str:
        """Why no motion may start at this pose; empty if it may."""
        for joint, position in zip(self._joints, positions_rad, strict=True):
            if not joint.lower_rad - MAX_OUTSIDE_RAD <= position <= joint.upper_rad + MAX_OUTSIDE_RAD:
                return (
                    f"{joint.name} is at {position:.2f} rad, its limits are {joint.lower_rad:.2f} .. "
                    f"{joint.upper_rad:.2f}; move it inside by hand, or check the calibration"
                )
        return ""

    def _inside(self, step_rad: FloatArray, last_rad: FloatArray) -> FloatArray:
        """The step, reduced so that the arm can still stop before its position limits."""
        up = self._longest_stoppable_step(np.maximum(self._upper_rad - last_rad, 0.0))
        down = self._longest_stoppable_step(np.maximum(last_rad - self._lower_rad, 0.0))
        cut: FloatArray = np.clip(step_rad, -down, up)
        return cut

    def _longest_stoppable_step(self, distance_rad: FloatArray) -> FloatArray:
        """The longest step towards `distance_rad` (signed) after which the arm can stop within that distance.

        Steps s, s - a, s - 2a ... over n + 1 periods cover (n + 1) s - a n (n + 1) / 2; solved for s, with the n
        for which s lies between n a and (n + 1) a.
        """
        distance, a = np.abs(distance_rad), self.acceleration_step_rad
        n = np.floor((np.sqrt(1.0 + 8.0 * distance / a) - 1.0) / 2.0)
        longest: FloatArray = np.sign(distance_rad) * (distance / (n + 1.0) + a * n / 2.0)
        return longest

    def _not_outward(self, positions_rad: FloatArray, last_rad: FloatArray) -> FloatArray:
        """Inside the limits despite rounding; from outside only inward."""
        lower, upper = np.minimum(self._lower_rad, last_rad), np.maximum(self._upper_rad, last_rad)
        inside: FloatArray = np.clip(positions_rad, lower, upper)
        return inside

    def _check_finite(self, what: str, positions: FloatArray) -> None:
        for joint, position in zip(self._joints, positions, strict=True):
            if not np.isfinite(position):
                raise SafetyError(f"the {what} of {joint.name} is {position}; nothing is sent")
