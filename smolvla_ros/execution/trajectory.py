# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joint positions over time, interpolated with continuous position, velocity and acceleration.

Unlike an ActionChunk, a trajectory may have unevenly spaced knots from several observations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray, IntArray
from smolvla_ros.chunk import ActionChunk
from smolvla_ros.observation import NANOSECONDS

# Coefficients of the quintic on 0 .. 1 from its value and first two derivatives at 0, then at 1 (Hermite).
_QUINTIC = np.array(
    [
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.5, 0.0, 0.0, 0.0],
        [-10.0, -6.0, -1.5, 10.0, -4.0, 0.5],
        [15.0, 8.0, 1.5, -15.0, 7.0, -1.0],
        [-6.0, -3.0, -0.5, 6.0, -3.0, 0.5],
    ]
)
_POWERS = np.arange(6)
# Factors and powers of the derivatives of 1, s, s^2 ... s^5, for position, velocity and acceleration.
_FACTORS = np.array([np.ones(6), _POWERS, _POWERS * (_POWERS - 1)])
_EXPONENTS = np.maximum(_POWERS - np.arange(3)[:, None], 0)

# Between knots closer than this, derivatives are interpolated linearly: the quintic would amplify rounding errors.
SHORT_NS = 100_000


class TrajectoryError(ValueError):
    """Invalid knots, or a part outside of the trajectory."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Knots of a motion: `times_ns` (knots,) strictly increasing, `states` (3, knots, joints).

    A state is position (rad), velocity (rad/s) and acceleration (rad/s^2). Between two knots the motion is the
    quintic polynomial that has both their states, so inserting a knot does not change it.
    """

    times_ns: IntArray
    states: FloatArray

    def __post_init__(self) -> None:
        knots = len(self.times_ns)
        if (
            not knots
            or self.times_ns.ndim != 1
            or self.states.ndim != 3
            or self.states.shape[:2] != (3, knots)
        ):
            raise TrajectoryError(
                f"times of shape {self.times_ns.shape} and states of shape {self.states.shape}, "
                "expected (knots,) and (3, knots, joints) with at least one knot"
            )
        if (np.diff(self.times_ns) <= 0).any():
            raise TrajectoryError("the times of a trajectory must increase from knot to knot")

    @classmethod
    def through(cls, times_ns: IntArray, positions: FloatArray) -> Trajectory:
        """Through `positions` (knots, joints) rad, with velocities and accelerations from differences.

        They are those of the parabola through a knot and its two neighbours; at the ends the acceleration is zero. With
        even steps the motion leaves the range of the positions by at most an eighth of that range.
        """
        if positions.ndim != 2 or positions.shape[:1] != times_ns.shape:
            raise TrajectoryError(
                f"times of shape {times_ns.shape} and positions of shape {positions.shape}, "
                "expected (knots,) and (knots, joints)"
            )
        states = np.zeros((3, *positions.shape))
        states[0] = positions
        if len(positions) > 1:
            steps_s = np.diff(times_ns)[:, None] / NANOSECONDS
            with np.errstate(divide="ignore", invalid="ignore"):  # equal times are rejected below
                slopes = np.diff(positions, axis=0) / steps_s
                both_s = steps_s[:-1] + steps_s[1:]
                states[1, [0, -1]] = slopes[[0, -1]]
                states[1, 1:-1] = (steps_s[1:] * slopes[:-1] + steps_s[:-1] * slopes[1:]) / both_s
                states[2, 1:-1] = 2.0 * np.diff(slopes, axis=0) / both_s
        return cls(times_ns, states)

    @classmethod
    def from_chunk(cls, chunk: ActionChunk, delay_ns: int = 0) -> Trajectory:
        """One knot for each action, `delay_ns` after it is due; ends when the chunk expires."""
        whole = cls.through(chunk.times_ns + delay_ns, chunk.positions)
        return whole.until(chunk.expires_ns) if chunk.expires_ns else whole

    @property
    def start_ns(self) -> int:
        return int(self.times_ns[0])

    @property
    def end_ns(self) -> int:
        return int(self.times_ns[-1])

    @property
    def positions(self) -> FloatArray:
        """Positions of the knots, (knots, joints) rad."""
        positions: FloatArray = self.states[0]
        return positions

    def at(self, now_ns: int) -> FloatArray | None:
        """Positions (joints,) at `now_ns`; None before the first and after the last knot."""
        if not self.start_ns <= now_ns <= self.end_ns:
            return None
        positions: FloatArray = self.sample(np.array([now_ns], np.int64))[0, 0]
        return positions

    def sample(self, times_ns: IntArray) -> FloatArray:
        """States (3, times, joints) at `times_ns`, exact at knots; outside, at rest at the nearest end."""
        inside_ns = np.clip(times_ns, self.start_ns, self.end_ns)
        before = np.searchsorted(self.times_ns, inside_ns, side="right") - 1
        after = np.minimum(before + 1, len(self.times_ns) - 1)
        start_ns = self.times_ns[before]
        span_ns = np.maximum(self.times_ns[after] - start_ns, 1)
        # converts derivatives by s to derivatives by span
        units = (span_ns / NANOSECONDS) ** np.arange(3)[:, None]
        ends = np.concatenate(
            [self.states[:, before] * units[..., None], self.states[:, after] * units[..., None]]
        )
        coefficients = np.tensordot(_QUINTIC, ends, 1)  # (6, times, joints)
        share = (inside_ns - start_ns) / span_ns
        basis = _FACTORS[..., None] * share ** _EXPONENTS[..., None] / units[:, None]  # (3, 6, times)
        states: FloatArray = np.einsum("dpt,ptj->dtj", basis, coefficients)
        short = span_ns < SHORT_NS
        change = self.states[1:, after] - self.states[1:, before]
        states[1:, short] = (self.states[1:, before] + share[:, None] * change)[:, short]
        states[1:, times_ns != inside_ns] = 0.0
        return states

    def since(self, start_ns: int) -> Trajectory:
        """The part from `start_ns` on, beginning with a knot there; all of it if it starts later."""
        if start_ns > self.end_ns:
            raise TrajectoryError(f"the trajectory ends {(start_ns - self.end_ns) / 1e9:.3f} s too early")
        if start_ns <= self.start_ns:
            return self
        return self._resampled(np.append(np.int64(start_ns), self.times_ns[self.times_ns > start_ns]))

    def until(self, end_ns: int) -> Trajectory:
        """The part up to `end_ns`, ending with a knot there; all of it if it ends earlier."""
        if end_ns < self.start_ns:
            raise TrajectoryError(f"the trajectory starts {(self.start_ns - end_ns) / 1e9:.3f} s too late")
        if end_ns >= self.end_ns:
            return self
        return self._resampled(np.append(self.times_ns[self.times_ns < end_ns], np.int64(end_ns)))

    def every(self, step_ns: int) -> Trajectory:
        """The same motion with knots `step_ns` apart from its start on; a shorter rest is dropped."""
        return self._resampled(np.arange(self.start_ns, self.end_ns + 1, step_ns, dtype=np.int64))

    def _resampled(self, times_ns: IntArray) -> Trajectory:
        return Trajectory(times_ns, self.sample(times_ns))
