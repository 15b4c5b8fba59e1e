# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pick a cube up: 0.5 for grasping it, 0.5 for holding it 5 cm above the table."""

from __future__ import annotations

from dataclasses import dataclass

from smolvla_ros.simulation.layout import CUBE_M
from smolvla_ros.simulation.tasks.task import GraspTask
from smolvla_ros.simulation.world_state import WorldState

HIGH_M = 0.05  # of the cube's underside
WORDINGS = (
    "Pick up the {} cube",
    "Lift the {} cube",
    "Grab the {} cube and hold it up",
    "Pick the {} cube up",
    "Take the {} block",
    "Lift up the {} block",
)
HELD_OUT_WORDINGS = ("Grab the {} block and lift it", "Hold up the {} cube")


@dataclass(frozen=True)
class PickUp(GraspTask):
    """Done while the gripper holds the cube HIGH_M above the table."""

    goal = "lifted"

    def is_done(self, state: WorldState) -> bool:
        is_high = bool(state.cube_position(self.cube)[2] - CUBE_M / 2 > HIGH_M)
        return state.is_grasped(self.cube) and is_high
