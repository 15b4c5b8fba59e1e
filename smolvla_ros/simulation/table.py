# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table under the arm: a textured rectangle at z = 0 of the robot's root frame, as a camera sees it.

Grid lines every 5 cm. render.py draws solids and their shadows.
"""

from __future__ import annotations

import cv2
import numpy as np

from smolvla_ros.arrays import FloatArray, ImageArray
from smolvla_ros.simulation.pinhole import SUBPIXEL_BITS, View

TABLE_X_M = (-0.75, 0.85)
TABLE_Y_M = (-0.7, 0.7)
PIXEL_M = 0.002  # a texture that fits into the cache is drawn twice as fast
GRID_M = 0.05
TABLE_RGB = (188, 176, 158)
WALL_RGB = (146, 154, 160)
SINGULAR = 1e-12  # determinant of a view along the table plane


class Table:
    """The table's texture; `seed` is that of its noise."""

    def __init__(self, seed: int) -> None:
        self._texture = _texture(np.random.default_rng(seed))
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
        cv2.rectangle(image, (0, 0), size, WALL_RGB, cv2.FILLED)
        outline = view.outline(view.to_camera(self._corners))
        texture_to_pixels = view.matrix @ view.world_to_camera[:3, [0, 1, 3]] @ self._metres
        if outline is None or abs(np.linalg.det(texture_to_pixels)) < SINGULAR:
            return image
        picture = cv2.warpPerspective(self._texture, texture_to_pixels, size, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillConvexPoly(mask, outline, (255,), cv2.LINE_8, SUBPIXEL_BITS)
        cv2.copyTo(picture, mask, image)
        return image


def _texture(rng: np.random.Generator) -> ImageArray:
    columns = round((TABLE_X_M[1] - TABLE_X_M[0]) / PIXEL_M)
    rows = round((TABLE_Y_M[1] - TABLE_Y_M[0]) / PIXEL_M)
    grain = cv2.resize(
        rng.normal(0.0, 2.5, (rows // 4, columns // 32)), (columns, rows), interpolation=cv2.INTER_CUBIC
    )
    clouds = cv2.resize(rng.normal(0.0, 4.0, (9, 9)), (columns, rows), interpolation=cv2.INTER_CUBIC)
    brightness: FloatArray = np.asarray(grain + clouds, dtype=np.float64)
    step = round(GRID_M / PIXEL_M)
    brightness[::step, :] -= 18.0
    brightness[:, ::step] -= 18.0
    texture = np.array(TABLE_RGB, np.float64) + brightness[..., None]
    return np.clip(texture, 0, 255).astype(np.uint8)
