# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fuses the present plan and a new chunk into one plan: pure functions, interchangeable while the arm moves.

Their input is the plan, the chunks, and the first moment that may still be changed, at which the result starts. Times
of different chunks differ in phase and possibly in step, so the plan and older chunks are sampled at the new chunk's
times. Limits are applied later, in `safety.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from smolvla_ros.arrays import FloatArray, IntArray
from smolvla_ros.execution.trajectory import Trajectory
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.settings import Settings, setting


@dataclass(frozen=True)
class FusionSettings(Settings):
    """Settings of some of the fusions."""

    fade_s: float = setting(
        0.6,
        "offset_fade, smooth: a new chunk is joined to the plan over this time",
        bounds=(0.05, 5.0),
        live=True,
    )
    ensemble_decay: float = setting(
        0.01,
        "temporal_ensemble: m of the weights exp(-m i), i = 0 for the oldest chunk; below 0 the newest weighs most",
        bounds=(-10.0, 10.0),
        live=True,
    )


@dataclass(frozen=True, eq=False)
class FusionInput:
    """Input of a fusion.

    old: the present plan. chunks: those that have not ended, oldest first; the last one is new. now_ns: the first
    moment that is not executed yet; the new chunk ends no earlier.
    """

    old: Trajectory
    chunks: tuple[Trajectory, ...]
    now_ns: int
    settings: FusionSettings = FusionSettings()

    @property
    def new(self) -> Trajectory:
        return self.chunks[-1]

    @property
    def in_motion(self) -> bool:
        """Whether the old plan covers now; otherwise there is nothing to continue."""
        return self.old.start_ns <= self.now_ns <= self.old.end_ns

    @property
    def fade_end_ns(self) -> int:
        """From when on the result is the new chunk alone."""
        return min(self.now_ns + round(self.settings.fade_s * NANOSECONDS), self.new.end_ns)

    def times_ns(self, *more_ns: int) -> IntArray:
        """Now, the new chunk's later knots, and those of `more_ns` that lie between."""
        later = [at_ns for at_ns in more_ns if self.now_ns < at_ns <= self.new.end_ns]
        knots = self.new.times_ns
        return np.union1d(knots[knots > self.now_ns], np.array([self.now_ns, *later], np.int64))


Fusion = Callable[[FusionInput], Trajectory]


def replace(inputs: FusionInput) -> Trajectory:
    """The new chunk alone. Steps now by the whole difference between chunk and plan."""
    return inputs.new.since(inputs.now_ns)


def weighted_average(inputs: FusionInput) -> Trajectory:
    """LeRobot's default, 0.3 of the old plan and 0.7 of the new chunk: steps by 0.7 of the difference."""
    return _average(inputs, 0.3)


def average(inputs: FusionInput) -> Trajectory:
    """Half of each, as LeRobot's function of this name: steps now by 0.5 of the difference."""
    return _average(inputs, 0.5)


def conservative(inputs: FusionInput) -> Trajectory:
    """LeRobot's 0.7 of the old plan and 0.3 of the new chunk: steps by 0.3, again where the old plan ends by 0.7."""
    return _average(inputs, 0.7)


def linear_blend(inputs: FusionInput) -> Trajectory:
    """From the old plan now to the new one where the old one ends: continuous in position."""
    if not inputs.in_motion:
        return replace(inputs)
    overlap_ns = max(min(inputs.old.end_ns, inputs.new.end_ns) - inputs.now_ns, 1)
    times_ns = inputs.times_ns(inputs.now_ns + overlap_ns)
    share = np.minimum((times_ns - inputs.now_ns) / overlap_ns, 1.0)
    slope = np.where(share < 1.0, NANOSECONDS / overlap_ns, 0.0)
    weight = np.stack([1.0 - share, -slope, np.zeros_like(share)])
    new = inputs.new.sample(times_ns)
    return Trajectory(times_ns, new + _product(weight, inputs.old.sample(times_ns) - new))


def temporal_ensemble(inputs: FusionInput) -> Trajectory:
    """All chunks that cover a moment, averaged with weights exp(-m i), i = 0 for the oldest.

    ACT, arXiv 2304.13705, algorithm 2. Made for a chunk every control period; with fewer it steps at every new
    chunk by its share of the difference.
    """
    times_ns = inputs.new.since(inputs.now_ns).times_ns
    total = np.zeros((3, len(times_ns), inputs.new.positions.shape[1]))
    weights = np.zeros(len(times_ns))
    older = np.zeros(len(times_ns))
    for chunk in inputs.chunks:
        covered = (chunk.start_ns <= times_ns) & (times_ns <= chunk.end_ns)
        weight = np.where(covered, np.exp(-inputs.settings.ensemble_decay * older), 0.0)
        total += weight[:, None] * chunk.sample(times_ns)
        weights += weight
        older += covered
    return Trajectory(times_ns, total / weights[:, None])


def offset_fade(inputs: FusionInput) -> Trajectory:
    """The new chunk plus the offset to the plan now, which fades to zero within `fade_s`.

    Continuous in position; velocities step by their difference. Never further from the new chunk than now.
    """
    end_ns = inputs.fade_end_ns
    if not inputs.in_motion or end_ns <= inputs.now_ns:
        return replace(inputs)
    here_ns = np.array([inputs.now_ns])
    offset = inputs.old.sample(here_ns) - inputs.new.sample(here_ns)
    offset[1:] = 0.0
    times_ns = inputs.times_ns(end_ns)
    return Trajectory(
        times_ns, inputs.new.sample(times_ns) + _to_zero(offset, inputs.now_ns, end_ns).sample(times_ns)
    )


def smooth(inputs: FusionInput) -> Trajectory:
    """From the old plan now to the new one within `fade_s`, continuous in position, velocity and acceleration.

    A weighted mean; the weight is a quintic whose first two derivatives are zero at its ends. If the old plan ends
    earlier, another quintic brings the difference at its end, p rad, v rad/s and a rad/s^2, to zero: it is at most
    p + 0.2 v fade_s + 0.018 a fade_s^2 from the new chunk.
    """
    end_ns = inputs.fade_end_ns
    if not inputs.in_motion or end_ns <= inputs.now_ns:
        return replace(inputs)
    both_end_ns = min(inputs.old.end_ns, end_ns)
    times_ns = inputs.times_ns(both_end_ns, end_ns)
    both_ns, later_ns = times_ns[times_ns <= both_end_ns], times_ns[times_ns > both_end_ns]
    apart = inputs.old.sample(both_ns) - inputs.new.sample(both_ns)
    if len(later_ns):
        rest = _to_zero(apart[:, -1:], both_end_ns, max(end_ns, both_end_ns + 1))
        apart = np.concatenate([apart, rest.sample(later_ns)], axis=1)
    weight = _to_zero(np.array([1.0, 0.0, 0.0])[:, None, None], inputs.now_ns, end_ns).sample(times_ns)[
        ..., 0
    ]
    return Trajectory(times_ns, inputs.new.sample(times_ns) + _product(weight, apart))


def _average(inputs: FusionInput, old_weight: float) -> Trajectory:
    """Constant weights where both overlap, the new chunk alone elsewhere.

    The old plan before and after the new chunk is dropped, as in LeRobot.
    """
    rest, old = inputs.new.since(inputs.now_ns), inputs.old
    overlap = (rest.times_ns >= old.start_ns) & (rest.times_ns <= old.end_ns)
    weight = np.where(overlap, old_weight, 0.0)[:, None]
    return Trajectory(rest.times_ns, weight * old.sample(rest.times_ns) + (1.0 - weight) * rest.states)


def _to_zero(state: FloatArray, start_ns: int, end_ns: int) -> Trajectory:
    """The quintic from a state (3, 1, joints) to rest at zero; monotonic from (1, 0, 0)."""
    return Trajectory(np.array([start_ns, end_ns]), np.concatenate([state, np.zeros_like(state)], axis=1))


def _product(weight: FloatArray, states: FloatArray) -> FloatArray:
    """Weights (3, times), with their derivatives, times states (3, times, joints): the product rule."""
    w, dw, ddw = weight[..., None]
    p, v, a = states
    return np.stack([w * p, w * v + dw * p, w * a + 2.0 * dw * v + ddw * p])


FUSIONS: Mapping[str, Fusion] = MappingProxyType(
    {
        "replace": replace,
        "weighted_average": weighted_average,
        "average": average,
        "conservative": conservative,
        "linear_blend": linear_blend,
        "temporal_ensemble": temporal_ensemble,
        "offset_fade": offset_fade,
        "smooth": smooth,
        "rtc": replace,  # the chunk continues the plan already (parameter `rtc` of the policy node)
    }
)

# Fusion of the first chunk of a new task with the old task's plan, by `on_task_change`.
TASK_CHANGE_FUSIONS: Mapping[str, Fusion] = MappingProxyType({"finish": replace, "blend": smooth})
