# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Touch a cube with the gripper, and stay there: the whole score."""

from __future__ import annotations

from dataclasses import dataclass

from smolvla_ros.simulation.tasks.task import CubeTask
from smolvla_ros.simulation.world_state import WorldState

WORDINGS = (
    "Touch the {} cube",
    "Put your finger on the {} cube",
    "Tap the {} cube",
    "Touch the {} block",
    "Go to the {} cube and touch it",
)
HELD_OUT_WORDINGS = ("Put your finger on the {} block", "Go to the {} block and tap it")


@dataclass(frozen=True)
class Touch(CubeTask):
    """Done while any part of the gripper touches the cube."""

    def shares(self, state: WorldState) -> dict[str, float]:
        return {"touched": 1.0} if self.is_done(state) else {}

    def is_done(self, state: WorldState) -> bool:
        return state.is_touched(self.cube)
