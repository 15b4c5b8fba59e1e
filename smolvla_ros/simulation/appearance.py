# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a scene looks: light, colours, table, cameras and sensor noise; the default, or random by seed.

A policy that was trained with many random appearances depends less on any one of them (domain randomization, Tobin et
al. 2017).
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from smolvla_ros.simulation.layout import RGB, Rgb
from smolvla_ros.simulation.pinhole import SceneCamera
from smolvla_ros.simulation.table import TABLE_RGB, TEXTURES, WALL_RGB, Texture
from smolvla_ros.urdf import Vector

LIGHT = (0.3, -0.4, 0.85)  # direction to the lamp, in the root frame
RANDOM_CAMERAS = 4  # a random appearance has offsets for so many cameras
TEXTURE_SEEDS = 4  # few, so that all textures are drawn once and then kept
NOISE_LEVELS = (0.0, 1.0, 2.0, 3.0, 4.0)
OFFSET_M, OFFSET_RAD, FOV_SHARE = 0.003, math.radians(1.0), 0.02  # standard deviations


@dataclass(frozen=True)
class CameraOffset:
    """How a camera differs from the robot's description."""

    xyz_m: Vector = (0.0, 0.0, 0.0)  # in the optical frame of the description
    rpy_rad: Vector = (0.0, 0.0, 0.0)
    fov_factor: float = 1.0


@dataclass(frozen=True)
class Appearance:
    """Everything that changes pictures but not the world. Colours are RGB, 0 to 255."""

    light: Vector = LIGHT  # direction to the lamp, in the root frame, of any length
    ambient: float = 0.56  # brightness of a face without any other light
    lamp: float = 0.34  # and how much the lamp adds to a face that is turned to it
    shadow: float = 0.62  # brightness of the table in shadow
    gains: Vector = (1.0, 1.0, 1.0)  # of red, green and blue: exposure and white balance
    table_rgb: Rgb = TABLE_RGB
    wall_rgb: Rgb = WALL_RGB
    texture: Texture = Texture()
    colours: Mapping[str, Rgb] = field(
        default_factory=lambda: dict(RGB)
    )  # of cubes and trays, by colour word
    camera_offsets: tuple[CameraOffset, ...] = ()  # in the order of the cameras
    noise: float = 2.0  # standard deviation of the sensor noise, grey levels

    @property
    def light_direction(self) -> Vector:
        """Direction to the lamp, of unit length."""
        x, y, z = (float(part) for part in np.array(self.light) / np.linalg.norm(self.light))
        return x, y, z

    def moved(self, cameras: Sequence[SceneCamera]) -> tuple[SceneCamera, ...]:
        """The cameras with their offsets; those beyond the offsets stay as they are."""
        offsets = (*self.camera_offsets, *[CameraOffset()] * len(cameras))
        return tuple(
            replace(
                camera,
                horizontal_fov_rad=camera.horizontal_fov_rad * offset.fov_factor,
                offset_m=offset.xyz_m,
                offset_rpy_rad=offset.rpy_rad,
            )
            for camera, offset in zip(cameras, offsets)
        )


DEFAULT = Appearance()


def random_appearance(seed: int, strength: float = 1.0) -> Appearance:
    """The appearance of a seed. `strength`: 0 gives the default, 1 strong but plausible differences."""
    if strength <= 0.0:
        return DEFAULT
    random = np.random.default_rng([seed, 2])

    def vary(value: float, low: float, high: float) -> float:
        return value + strength * (random.uniform(low, high) - value)

    azimuth, elevation = random.uniform(-math.pi, math.pi), random.uniform(math.radians(40.0), math.pi / 2)
    light = np.array(
        [
            math.cos(azimuth) * math.cos(elevation),
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
        ]
    )
    x, y, z = ((1.0 - strength) * np.array(DEFAULT.light_direction) + strength * light).tolist()
    exposure = vary(1.0, 0.8, 1.2)
    red, green, blue = (exposure * vary(1.0, 0.93, 1.07) for _ in range(3))
    rows, columns = (round(strength * shift) for shift in random.integers(0, 500, 2))
    kind = str(random.choice(TEXTURES)) if random.random() < strength else DEFAULT.texture.kind
    return Appearance(
        light=(x, y, z),
        ambient=vary(DEFAULT.ambient, 0.46, 0.64),
        lamp=vary(DEFAULT.lamp, 0.22, 0.44),
        shadow=vary(DEFAULT.shadow, 0.5, 0.85),
        gains=(red, green, blue),
        table_rgb=_blend(DEFAULT.table_rgb, _random_surface(random), strength),
        wall_rgb=_blend(DEFAULT.wall_rgb, _random_surface(random), strength),
        texture=Texture(
            kind,
            int(random.integers(TEXTURE_SEEDS)),
            vary(1.0, 0.4, 1.2),
            (rows, columns),
        ),
        colours={word: _near(rgb, random, strength) for word, rgb in RGB.items()},
        camera_offsets=tuple(_random_offset(random, strength) for _ in range(RANDOM_CAMERAS)),
        noise=float(random.choice(NOISE_LEVELS)) if random.random() < strength else DEFAULT.noise,
    )


def _random_offset(random: np.random.Generator, strength: float) -> CameraOffset:
    x, y, z = (strength * random.normal(0.0, OFFSET_M, 3)).tolist()
    roll, pitch, yaw = (strength * random.normal(0.0, OFFSET_RAD, 3)).tolist()
    return CameraOffset((x, y, z), (roll, pitch, yaw), 1.0 + strength * random.normal(0.0, FOV_SHARE))


def _random_surface(random: np.random.Generator) -> Rgb:
    """The colour of a table or wall: grey to pastel, dark to bright, less saturated than any cube."""
    hue, saturation, value = random.random(), random.uniform(0.0, 0.3), random.uniform(0.3, 0.92)
    return _to_bytes(colorsys.hsv_to_rgb(hue, saturation, value))


def _near(rgb: Rgb, random: np.random.Generator, strength: float) -> Rgb:
    """A colour that everybody would call the same."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255.0 for channel in rgb))
    turn, paler, brighter = strength * random.uniform(-1.0, 1.0, 3)
    changed = (
        (hue + 0.02 * turn) % 1.0,
        min(saturation * (1.0 + 0.12 * paler), 1.0),
        min(value * (1.0 + 0.15 * brighter), 1.0),
    )
    return _to_bytes(colorsys.hsv_to_rgb(*changed))


def _blend(first: Rgb, second: Rgb, share: float) -> Rgb:
    return _to_bytes(
        tuple(((1.0 - share) * one + share * other) / 255.0 for one, other in zip(first, second, strict=True))
    )


def _to_bytes(rgb: tuple[float, ...]) -> Rgb:
    red, green, blue = (round(255.0 * channel) for channel in rgb)
    return red, green, blue
