# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put a cube down on the table at the arm's left, where no cube is at the start: 0.5 for grasping it, 0.5 for the cube
standing there, released.

It is not in the training of the shipped checkpoint: for fine-tuning it to something new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from smolvla_ros.simulation.layout import PAN_AXIS_X_M
from smolvla_ros.simulation.tasks.task import GraspTask
from smolvla_ros.simulation.world_state import TABLE, WorldState

WORDINGS = (
    "Put the {} cube on the left",
    "Place the {} cube on the left",
    "Move the {} block to the left",
    "Pick up the {} cube and put it on the left",
)
HELD_OUT_WORDINGS = ("Take the {} block to the left", "Move the {} cube to the left")
DISTANCE_M, BEARING_RAD = 0.2, math.radians(80.0)  # of its middle from the pan axis
LEFT_M = PAN_AXIS_X_M + DISTANCE_M * math.cos(BEARING_RAD), DISTANCE_M * math.sin(BEARING_RAD)  # x, y
RADIUS_M = 0.05


@dataclass(frozen=True)
class PutAside(GraspTask):
    """Done while the cube stands on the table within RADIUS_M of LEFT_M and the gripper does not touch it."""

    goal = "placed"

    def is_done(self, state: WorldState) -> bool:
        is_there = math.dist(state.cube_position(self.cube)[:2], LEFT_M) < RADIUS_M
        return is_there and TABLE in state.touching[self.cube] and not state.is_touched(self.cube)
