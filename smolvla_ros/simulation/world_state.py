# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The state of the world at one moment, as tasks and the expert see it. Root frame, m and rad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.simulation.layout import Layout

JAWS = ("gripper_link", "moving_jaw_link")
TABLE = "world"  # the body that the table, and the arm's base, belong to


@dataclass(frozen=True, eq=False)
class WorldState:
    """Where everything is and what touches what."""

    time_s: float
    layout: Layout  # of the start: which objects there are
    positions_rad: FloatArray  # (joints,), in the URDF's order, the gripper last
    velocities_rad_s: FloatArray  # (joints,)
    gripper_pose: FloatArray  # (4, 4), of gripper_link
    cube_poses: Mapping[str, FloatArray]  # name -> (4, 4)
    touching: Mapping[str, frozenset[str]]  # name of a cube or link -> names of the bodies that it touches

    def cube_position(self, name: str) -> FloatArray:
        """Centre (3,) of a cube."""
        position: FloatArray = self.cube_poses[name][:3, 3]
        return position

    def is_grasped(self, cube: str) -> bool:
        """Whether both jaws touch the cube."""
        return self.touching[cube].issuperset(JAWS)

    def is_touched(self, cube: str) -> bool:
        """Whether any part of the gripper touches the cube."""
        return not self.touching[cube].isdisjoint(JAWS)

    def gripper_point(self, point: Sequence[float]) -> FloatArray:
        """A point (3,) of gripper_link in the root frame."""
        found: FloatArray = self.gripper_pose[:3, :3] @ np.asarray(point) + self.gripper_pose[:3, 3]
        return found
