# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table under the arm: a textured rectangle at z = 0 of the robot's root frame, as a camera sees it.

render.py draws solids and their shadows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from smolvla_ros.arrays import FloatArray, ImageArray
from smolvla_ros.simulation.pinhole import SUBPIXEL_BITS, View

TABLE_X_M = (-0.75, 0.85)
TABLE_Y_M = (-0.7, 0.7)
PIXEL_M = 0.002  # a texture that fits into the cache is drawn twice as fast
GRID_M = 0.05
TEXTURES = ("grid", "plain", "wood", "speckles")
MIDDLE = 128  # grey level of a pattern that stands for the colour of the table
TABLE_RGB = (188, 176, 158)
WALL_RGB = (146, 154, 160)
SINGULAR = 1e-12  # determinant of a view along the table plane


@dataclass(frozen=True)
class Texture:
    """What the surface of the table looks like, beside its colour."""

    kind: str = TEXTURES[0]  # one of TEXTURES; grid: lines every 5 cm
    seed: int = 0
    contrast: float = 1.0
    shift: tuple[int, int] = (0, 0)  # rows and columns of 2 mm


class Table:
    """A table and the wall behind it; colours are RGB, 0 to 255."""

    def __init__(
        self,
        texture: Texture = Texture(),
        table_rgb: Sequence[float] = TABLE_RGB,
        wall_rgb: Sequence[float] = WALL_RGB,
    ) -> None:
        self._texture = _coloured(texture, table_rgb)
        self._wall_rgb = np.clip(wall_rgb, 0, 255).tolist()
        (x0, x1), (y0, y1) = TABLE_X_M, TABLE_Y_M
        self._corners = np.array([[x0, y0, 0.0], [x1, y0, 0.0], [x1, y1, 0.0], [x0, y1, 0.0]])
        # texture pixel (column, row, 1) -> table (x, y, 1), from pixel centre to pixel centre
        self._metres = np.array(
            [[PIXEL_M, 0.0, x0 + 0.5 * PIXEL_M], [0.0, PIXEL_M, y0 + 0.5 * PIXEL_M], [0.0, 0.0, 1.0]]
        )

    def draw(self, view: View) -> ImageArray:
        """An image (height, width, 3) RGB of the table alone."""
        size = (view.camera.width, view.camera.height)
        image: ImageArray = np.empty((size[1], size[0], 3), np.uint8)
        # much faster than assigning a colour with numpy
        cv2.rectangle(image, (0, 0), size, self._wall_rgb, cv2.FILLED)
        outline = view.outline(view.to_camera(self._corners))
        texture_to_pixels = view.matrix @ view.world_to_camera[:3, [0, 1, 3]] @ self._metres
        if outline is None or abs(np.linalg.det(texture_to_pixels)) < SINGULAR:
            return image
        picture = cv2.warpPerspective(self._texture, texture_to_pixels, size, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillConvexPoly(mask, outline, (255,), cv2.LINE_8, SUBPIXEL_BITS)
        cv2.copyTo(picture, mask, image)
        return image


def _coloured(texture: Texture, rgb: Sequence[float]) -> ImageArray:
    """The texture of a table of this colour, (rows, columns, 3)."""
    levels = texture.contrast * (np.arange(256)[:, None] - MIDDLE) + np.asarray(rgb)
    pattern = np.roll(_pattern(texture.kind, texture.seed), texture.shift, (0, 1))
    table = np.clip(levels, 0, 255).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(cv2.merge([pattern] * 3), table), np.uint8)


@lru_cache(maxsize=32)
def _pattern(kind: str, seed: int) -> ImageArray:
    """Grey levels (rows, columns) around MIDDLE, which take much longer to draw than to colour."""
    columns = round((TABLE_X_M[1] - TABLE_X_M[0]) / PIXEL_M)
    rows = round((TABLE_Y_M[1] - TABLE_Y_M[0]) / PIXEL_M)
    random = np.random.default_rng(seed)

    def noise(deviation: float, height: int, width: int) -> FloatArray:
        """Smooth noise with so many independent values."""
        values = random.normal(0.0, deviation, (height, width))
        return np.asarray(cv2.resize(values, (columns, rows), interpolation=cv2.INTER_CUBIC), np.float64)

    brightness = noise(2.5, rows // 4, columns // 32) + noise(4.0, 9, 9)
    if kind == "grid":
        step = round(GRID_M / PIXEL_M)
        brightness[::step, :] -= 18.0
        brightness[:, ::step] -= 18.0
    elif kind == "wood":
        brightness += noise(12.0, rows // 4, 4)
    elif kind == "speckles":
        brightness += noise(14.0, rows // 3, columns // 3)
    return np.clip(np.floor(brightness) + MIDDLE, 0, 255).astype(np.uint8)
