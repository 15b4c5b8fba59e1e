# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the present plan and a new chunk become one plan: pure functions, interchangeable while the arm moves.

Each takes what is being executed, what has arrived, and the first moment that may still be changed. The grids
of the two differ in phase and may differ in step, so the old plan is read by interpolation at the new one's
times. Nothing before that moment is ever returned. Limits are no concern here; `safety.py` has the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from smolvla_ros.execution.trajectory import Trajectory

Fusion = Callable[[Trajectory, Trajectory, int], Trajectory]

OLD_WEIGHT = 0.3  # LeRobot's async client, aggregate function "weighted_average": 0.3 * old + 0.7 * new


def replace(old: Trajectory, new: Trajectory, now_ns: int) -> Trajectory:
    """The new chunk alone, wherever the plan was. Steps at the seam by whatever the two disagree."""
    return new.since(now_ns)


def weighted_average(old: Trajectory, new: Trajectory, now_ns: int) -> Trajectory:
    """LeRobot's default: constant weights where both have something to say, the new chunk alone after that.

    What the old plan had before and behind the new chunk is lost, as there. Steps at the seam by 0.7 of the
    disagreement.
    """
    rest = new.since(now_ns)
    overlap = (rest.times_ns >= old.start_ns) & (rest.times_ns <= old.end_ns)
    old_weight = np.where(overlap, OLD_WEIGHT, 0.0)[:, None]
    return Trajectory(
        rest.times_ns, old_weight * old.sample(rest.times_ns) + (1.0 - old_weight) * rest.positions
    )


def linear_blend(old: Trajectory, new: Trajectory, now_ns: int) -> Trajectory:
    """From the old plan now to the new one where the old one ends: continuous at `now_ns`.

    Without an old plan now there is nothing to be continuous with, and the new chunk is taken as it is.
    """
    rest = new.since(now_ns)
    if not old.start_ns <= now_ns <= old.end_ns:
        return rest
    times_ns = np.append(np.int64(now_ns), rest.times_ns[rest.times_ns > now_ns])
    overlap_ns = max(min(old.end_ns, new.end_ns) - now_ns, 1)
    weight = np.minimum((times_ns - now_ns) / overlap_ns, 1.0)[:, None]
    return Trajectory(times_ns, (1.0 - weight) * old.sample(times_ns) + weight * new.sample(times_ns))


FUSIONS: Mapping[str, Fusion] = MappingProxyType(
    {"replace": replace, "weighted_average": weighted_average, "linear_blend": linear_blend}
)
