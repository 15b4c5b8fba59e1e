# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The objects of a layout as the boxes that the renderer draws, and their poses at a moment."""

from __future__ import annotations

from collections.abc import Mapping

from smolvla_ros.simulation.kinematics import transform
from smolvla_ros.simulation.layout import (
    CUBE_M,
    FLOOR_M,
    RGB,
    TRAY_M,
    WALL_M,
    WALL_THICKNESS_M,
    Cube,
    Layout,
    Rgb,
    Tray,
)
from smolvla_ros.simulation.solids import SceneBox
from smolvla_ros.urdf import Vector


def layout_boxes(layout: Layout, colours: Mapping[str, Rgb] = RGB) -> tuple[SceneBox, ...]:
    """A box for each cube, by its name, and five for each tray, where the layout puts them.

    colours: RGB, 0 to 255, of each colour word.
    """
    cubes = [_cube_box(cube, colours[cube.colour]) for cube in layout.cubes]
    trays = [box for tray in layout.trays for box in _tray_boxes(tray, colours[tray.colour])]
    return (*cubes, *trays)


def tray_parts() -> tuple[tuple[Vector, Vector], ...]:
    """Centre and size of the parts of a tray in its frame, which lies on the table: floor, then walls."""
    parts: list[tuple[Vector, Vector]] = [((0.0, 0.0, FLOOR_M / 2), (TRAY_M, TRAY_M, FLOOR_M))]
    for sign in (-0.5, 0.5):
        parts.append(((sign * TRAY_M, 0.0, WALL_M / 2), (WALL_THICKNESS_M, TRAY_M, WALL_M)))
        parts.append(((0.0, sign * TRAY_M, WALL_M / 2), (TRAY_M, WALL_THICKNESS_M, WALL_M)))
    return tuple(parts)


def _cube_box(cube: Cube, rgb: Rgb) -> SceneBox:
    pose = transform((cube.x_m, cube.y_m, CUBE_M / 2), (0.0, 0.0, cube.yaw_rad))
    return SceneBox(cube.name, (CUBE_M, CUBE_M, CUBE_M), rgb, pose)


def _tray_boxes(tray: Tray, rgb: Rgb) -> list[SceneBox]:
    frame = transform((tray.x_m, tray.y_m, 0.0), (0.0, 0.0, tray.yaw_rad))
    return [
        SceneBox(f"{tray.name}_{index}", size, rgb, frame @ transform(centre, (0.0, 0.0, 0.0)))
        for index, (centre, size) in enumerate(tray_parts())
    ]
