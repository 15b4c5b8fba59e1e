# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Integrates the flow from noise (t = 1) to actions (t = 0); needs no network and no torch.

LeRobot's method is "euler" with ten equal steps. "heun" and "midpoint" evaluate the velocity twice in a step,
"adams_bashforth_2" once, with the velocity of the step before. These three are of second order: with twice the steps,
the error is a quarter, where Euler's is a half. Formulas: Hairer, Norsett, Wanner, "Solving Ordinary Differential
Equations I", chapters II.1, III.1 and, for unequal steps, III.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

VelocityAt = Callable[["Tensor", int], "Tensor"]  # of x and the index of the evaluation


class Method(NamedTuple):
    """How a solver works."""

    offsets: tuple[float, ...]  # where in a step the velocity is evaluated, 0..1
    integrate: Callable[[VelocityAt, Tensor, Sequence[float]], Tensor]  # from x, by steps of these sizes


@dataclass(frozen=True)
class FlowSolver:
    """A method, one of `SOLVERS`, and its number of steps, 1 or more.

    time_spacing: the steps begin at the times (1 - k / num_steps) ** time_spacing; above 1 they become smaller towards
    the actions, where the velocity changes most.
    """

    num_steps: int
    method: str = "euler"
    time_spacing: float = 1.0

    @property
    def times(self) -> list[float]:
        """Times of the flow at which its velocity is evaluated, in this order."""
        offsets = SOLVERS[self.method].offsets
        return [start + offset * size for start, size in self._steps() for offset in offsets]

    def integrate(self, velocity: VelocityAt, noise: Tensor) -> Tensor:
        """The actions at t = 0, in the shape of the noise. `velocity` gets an index into `times`."""
        return SOLVERS[self.method].integrate(velocity, noise, [size for _, size in self._steps()])

    def _steps(self) -> list[tuple[float, float]]:
        """Beginning and size of each step; sizes are negative."""
        count = self.num_steps
        if self.time_spacing == 1.0:  # LeRobot's numbers to the last bit
            size = -1.0 / count
            return [(1.0 + index * size, size) for index in range(count)]
        times = [(1.0 - index / count) ** self.time_spacing for index in range(count + 1)]
        return [(start, end - start) for start, end in pairwise(times)]


# Below, no velocity is kept while the next one is computed: a CUDA graph writes both to the same memory.


def _euler(velocity: VelocityAt, x: Tensor, steps: Sequence[float]) -> Tensor:
    for index, step in enumerate(steps):
        x = x + step * velocity(x, index)
    return x


def _heun(velocity: VelocityAt, x: Tensor, steps: Sequence[float]) -> Tensor:
    for index, step in enumerate(steps):
        change = step * velocity(x, 2 * index)
        x = x + 0.5 * (change + step * velocity(x + change, 2 * index + 1))
    return x


def _midpoint(velocity: VelocityAt, x: Tensor, steps: Sequence[float]) -> Tensor:
    for index, step in enumerate(steps):
        middle = x + 0.5 * step * velocity(x, 2 * index)
        x = x + step * velocity(middle, 2 * index + 1)
    return x


def _adams_bashforth_2(velocity: VelocityAt, x: Tensor, steps: Sequence[float]) -> Tensor:
    previous: Tensor | None = None
    for index, step in enumerate(steps):
        change = step * velocity(x, index)
        if previous is None:
            x = x + change
        else:
            ratio = step / steps[index - 1]
            x = x + (1.0 + ratio / 2.0) * change - ratio**2 / 2.0 * previous
        previous = change
    return x


SOLVERS = {
    "euler": Method((0.0,), _euler),
    "heun": Method((0.0, 1.0), _heun),
    "midpoint": Method((0.0, 0.5), _midpoint),
    "adams_bashforth_2": Method((0.0,), _adams_bashforth_2),
}
