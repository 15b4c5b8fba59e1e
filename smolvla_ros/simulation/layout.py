# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is on the table at the start of an episode, and how the arm stands: chosen, or random by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Rgb = tuple[int, int, int]  # 0 to 255

RGB: dict[str, Rgb] = {  # of cubes and trays, by colour word
    "red": (206, 40, 36),
    "green": (44, 150, 66),
    "blue": (38, 82, 190),
    "yellow": (226, 186, 40),
    "white": (222, 220, 214),
}
CUBE_COLOURS = ("red", "green", "blue", "yellow")
CUBE_M = 0.03
TRAY_M, WALL_M = 0.11, 0.025
FLOOR_M, WALL_THICKNESS_M = 0.002, 0.006
# The pan axis in the root frame; cubes lie where the gripper can point down at them.
PAN_AXIS_X_M = 0.0452
CUBE_DISTANCE_M = (0.15, 0.265)  # from the pan axis
CUBE_BEARING_RAD = math.radians(55.0)  # to either side
TRAY_DISTANCE_M = (0.17, 0.23)
TRAY_BEARING_RAD = (math.radians(28.0), math.radians(58.0))
CUBE_GAP_M = 0.07  # between the centres of two cubes, so that the open gripper fits between them
TRAY_GAP_M = 0.105  # from the centre of a tray to that of a cube
REST_RAD = (0.0, 0.35, -0.35, 0.9, 0.0, 0.2)
START_SPREAD_RAD = 0.15
START_GRIPPER_RAD = (0.0, 0.6)
DRAWS, ATTEMPTS = 300, 50


class LayoutError(ValueError):
    """There is no room for the objects asked for, or no such colour; the message names them."""


@dataclass(frozen=True)
class Cube:
    """A cube of 3 cm on the table; `name` is unique, centre in the root frame."""

    name: str
    colour: str
    x_m: float
    y_m: float
    yaw_rad: float = 0.0
    mass_kg: float = 0.02
    friction: float = 0.8


@dataclass(frozen=True)
class Tray:
    """An open square box on the table, 11 cm wide; `name` is unique, centre in the root frame."""

    name: str
    colour: str
    x_m: float
    y_m: float
    yaw_rad: float = 0.0

    def contains(self, x_m: float, y_m: float, margin_m: float = 0.0) -> bool:
        """Whether a point is above the floor of the tray, `margin_m` inside its walls."""
        dx, dy = x_m - self.x_m, y_m - self.y_m
        cosine, sine = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        half = TRAY_M / 2 - margin_m
        return abs(cosine * dx + sine * dy) < half and abs(cosine * dy - sine * dx) < half


@dataclass(frozen=True)
class Layout:
    """Cubes, trays, and the joint positions (rad, in the URDF's order) at the start."""

    cubes: tuple[Cube, ...]
    trays: tuple[Tray, ...] = ()
    start_rad: tuple[float, ...] = REST_RAD


def random_layout(
    seed: int, cubes: tuple[str, ...] = ("red", "green", "blue"), trays: tuple[str, ...] = ("white",)
) -> Layout:
    """The layout of a seed, with cubes and at most two trays of these colours.

    Raises LayoutError when they do not fit on the reachable part of the table, or for an unknown colour.
    """
    unknown = [colour for colour in (*cubes, *trays) if colour not in RGB]
    if unknown:
        raise LayoutError(f"there is no colour '{unknown[0]}'; there are {', '.join(RGB)}")
    if len(trays) > 2:
        raise LayoutError(f"{len(trays)} trays do not fit beside the arm, at most 2 do")
    random = np.random.default_rng(seed)
    for _ in range(ATTEMPTS):
        placed_trays = _random_trays(random, trays)
        placed_cubes = _random_cubes(random, cubes, placed_trays)
        if len(placed_cubes) == len(cubes):
            break
    else:
        raise LayoutError(f"{len(cubes)} cubes and {len(trays)} trays do not fit on the table")
    start = np.array(REST_RAD) + random.uniform(-START_SPREAD_RAD, START_SPREAD_RAD, len(REST_RAD))
    start[-1] = random.uniform(*START_GRIPPER_RAD)
    return Layout(placed_cubes, placed_trays, tuple(start.tolist()))


def _random_trays(random: np.random.Generator, colours: tuple[str, ...]) -> tuple[Tray, ...]:
    """One tray to the left or right, two on both sides."""
    side = float(random.choice([-1.0, 1.0]))
    trays = []
    for index, colour in enumerate(colours):
        distance = random.uniform(*TRAY_DISTANCE_M)
        bearing = random.uniform(*TRAY_BEARING_RAD) * side * (-1.0) ** index
        x_m, y_m = PAN_AXIS_X_M + distance * math.cos(bearing), distance * math.sin(bearing)
        trays.append(Tray(f"{colour}_tray", colour, x_m, y_m, bearing))
    return tuple(trays)


def _random_cubes(
    random: np.random.Generator, colours: tuple[str, ...], trays: tuple[Tray, ...]
) -> tuple[Cube, ...]:
    """As many of the cubes as find room beside trays and each other."""
    cubes: list[Cube] = []
    for _ in range(DRAWS):
        if len(cubes) == len(colours):
            break
        colour = colours[len(cubes)]
        distance = random.uniform(*CUBE_DISTANCE_M)
        bearing = random.uniform(-CUBE_BEARING_RAD, CUBE_BEARING_RAD)
        number = sum(cube.colour == colour for cube in cubes)
        cube = Cube(
            f"{colour}_cube{f'_{number + 1}' if number else ''}",
            colour,
            PAN_AXIS_X_M + distance * math.cos(bearing),
            distance * math.sin(bearing),
            random.uniform(-math.pi, math.pi),
            random.uniform(0.015, 0.03),
            random.uniform(0.6, 1.0),
        )
        gaps = [math.dist((cube.x_m, cube.y_m), (other.x_m, other.y_m)) - CUBE_GAP_M for other in cubes]
        gaps += [math.dist((cube.x_m, cube.y_m), (tray.x_m, tray.y_m)) - TRAY_GAP_M for tray in trays]
        if min(gaps, default=0.0) >= 0.0:
            cubes.append(cube)
    return tuple(cubes)
