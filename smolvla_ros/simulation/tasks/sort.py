# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sort cubes into the trays of their colours: an equal share of the score (0.25 of four) for each cube."""

from __future__ import annotations

from dataclasses import dataclass

from smolvla_ros.simulation.layout import Tray
from smolvla_ros.simulation.tasks.pick_place import lies_in
from smolvla_ros.simulation.world_state import WorldState

WORDINGS = (
    "Put the cubes into the boxes of their colours",
    "Sort the cubes by colour",
    "Sort the blocks into the boxes by colour",
    "Put each cube into the box of its colour",
)
HELD_OUT_WORDINGS = (
    "Sort the cubes into the boxes of their colours",
    "Put each block in the box of its colour",
)


@dataclass(frozen=True)
class Sort:
    """Done while every cube lies in its tray, released. `goals`: pairs of a cube and its tray."""

    instruction: str
    goals: tuple[tuple[str, Tray], ...]

    @property
    def cubes(self) -> tuple[str, ...]:
        return tuple(cube for cube, _ in self.goals)

    def shares(self, state: WorldState) -> dict[str, float]:
        share = 1.0 / len(self.goals)
        return {cube: share for cube, tray in self.goals if lies_in(state, cube, tray)}

    def is_done(self, state: WorldState) -> bool:
        return all(lies_in(state, cube, tray) for cube, tray in self.goals)
