# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stack a cube on another: 0.5 for lifting it, 0.5 for the cube standing on the other, released."""

from __future__ import annotations

import math
from dataclasses import dataclass

from smolvla_ros.simulation.layout import CUBE_M
from smolvla_ros.simulation.tasks.task import is_lifted
from smolvla_ros.simulation.world_state import TABLE, WorldState

WORDINGS = (
    "Put the {} cube on top of the {} cube",
    "Stack the {} cube on the {} cube",
    "Place the {} cube on the {} cube",
    "Pick up the {} cube and put it on the {} cube",
    "Stack the {} block on top of the {} block",
)
HELD_OUT_WORDINGS = (
    "Place the {} block on top of the {} block",
    "Take the {} cube and stack it on the {} cube",
)
AWAY_M = CUBE_M / 2  # farthest that its centre may be from the other's, horizontally
HEIGHT_M = 0.006  # how far its height may be from that of a cube on a cube


@dataclass(frozen=True)
class Stack:
    """Done while the cube stands on the other and the gripper touches neither."""

    instruction: str
    cube: str
    below: str

    @property
    def cubes(self) -> tuple[str, ...]:
        return (self.cube, self.below)

    def shares(self, state: WorldState) -> dict[str, float]:
        lifted = {"lifted": 0.5} if is_lifted(state, self.cube) else {}
        return lifted | ({"stacked": 0.5} if self.is_done(state) else {})

    def is_done(self, state: WorldState) -> bool:
        upper, lower = state.cube_position(self.cube), state.cube_position(self.below)
        is_over = math.dist(upper[:2], lower[:2]) < AWAY_M
        is_upon = (
            bool(abs(upper[2] - lower[2] - CUBE_M) < HEIGHT_M) and TABLE not in state.touching[self.cube]
        )
        is_free = not state.is_touched(self.cube) and not state.is_touched(self.below)
        return is_over and is_upon and is_free
