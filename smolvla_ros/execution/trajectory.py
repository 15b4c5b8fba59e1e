# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joint positions over time, read between their knots by linear interpolation.

Separate from ActionChunk because a fused plan is no chunk any more: its knots need not be evenly spaced and
come from several observations. It knows nothing of now, of what was executed, or of limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smolvla_ros.chunk import ActionChunk

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class TrajectoryError(ValueError):
    """Knots that make no trajectory, or a part that a trajectory does not have."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Knots of a motion: `times_ns` (knots,) strictly increasing, `positions` (knots, joints) rad."""

    times_ns: IntArray
    positions: FloatArray

    def __post_init__(self) -> None:
        knots = len(self.times_ns)
        if not knots or self.positions.ndim != 2 or len(self.positions) != knots or self.times_ns.ndim != 1:
            raise TrajectoryError(
                f"times of shape {self.times_ns.shape} and positions of shape {self.positions.shape}, "
                "expected (knots,) and (knots, joints) with at least one knot"
            )
        if (np.diff(self.times_ns) <= 0).any():
            raise TrajectoryError("the times of a trajectory must increase from knot to knot")

    @classmethod
    def from_chunk(cls, chunk: ActionChunk) -> Trajectory:
        """One knot an action, without those due after the chunk expires."""
        whole = cls(chunk.times_ns, chunk.positions)
        return whole.until(chunk.expires_ns) if chunk.expires_ns else whole

    @property
    def start_ns(self) -> int:
        return int(self.times_ns[0])

    @property
    def end_ns(self) -> int:
        return int(self.times_ns[-1])

    def at(self, now_ns: int) -> FloatArray | None:
        """Positions (joints,) at `now_ns`; None before the first and after the last knot."""
        if not self.start_ns <= now_ns <= self.end_ns:
            return None
        positions: FloatArray = self.sample(np.array([now_ns], np.int64))[0]
        return positions

    def sample(self, times_ns: IntArray) -> FloatArray:
        """Positions (times, joints) at `times_ns`, exact at knots; outside, those of the nearest end."""
        after = np.clip(np.searchsorted(self.times_ns, times_ns), 0, len(self.times_ns) - 1)
        before = np.maximum(after - 1, 0)
        span_ns = np.maximum(self.times_ns[after] - self.times_ns[before], 1)
        share = np.clip((times_ns - self.times_ns[before]) / span_ns, 0.0, 1.0)[:, None]
        # a weighted mean, because the difference of two huge positions would overflow
        return np.asarray((1.0 - share) * self.positions[before] + share * self.positions[after])

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
