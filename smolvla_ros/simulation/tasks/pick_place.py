# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pick a cube up and put it into the tray: 0.5 for grasping it, 0.5 for the cube in the tray, released."""

from __future__ import annotations

from dataclasses import dataclass

from smolvla_ros.simulation.layout import CUBE_M, Tray
from smolvla_ros.simulation.tasks.task import GraspTask
from smolvla_ros.simulation.world_state import WorldState

WORDINGS = (
    "Pick up the {} cube and place it in the box",
    "Put the {} cube into the box",
    "Grasp the {} cube and drop it in the box",
    "Pick up the {} cube and put it in the box",
    "Move the {} cube to the box",
    "Place the {} block in the box",
    "Take the {} block and put it into the box",
    "Drop the {} cube into the tray",
    "Grab the {} block and place it in the tray",
)
HELD_OUT_WORDINGS = (
    "Grasp the {} block and put it in the tray",
    "Move the {} block into the box",
    "Take the {} cube to the box",
)
IN_TRAY_M = 0.02  # highest underside of a cube in a tray: it may lean on a wall or on another cube


@dataclass(frozen=True)
class PickPlace(GraspTask):
    """Done while the cube lies in the tray and the gripper does not touch it."""

    goal = "placed"
    tray: Tray

    def is_done(self, state: WorldState) -> bool:
        return lies_in(state, self.cube, self.tray)


def lies_in(state: WorldState, cube: str, tray: Tray) -> bool:
    """Whether a cube lies in a tray, released."""
    x_m, y_m, z_m = state.cube_position(cube)
    is_inside = tray.contains(x_m, y_m, CUBE_M / 2 - 0.003)
    return is_inside and bool(z_m - CUBE_M / 2 < IN_TRAY_M) and not state.is_touched(cube)
