# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Renders images of the arm on a table with coloured blocks, as its cameras would see it.

For running the suite without a robot: images follow the joints, in real time on a fraction of a core. Flat shading,
hard shadows on the table, no physics. A checkpoint trained on real images is not expected to work well on these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import cv2
import numpy as np

from smolvla_ros.arrays import BoolArray, FloatArray, ImageArray, PixelArray
from smolvla_ros.simulation.appearance import DEFAULT, Appearance
from smolvla_ros.simulation.kinematics import Kinematics, transform
from smolvla_ros.simulation.pinhole import (
    NEAR_M,
    SUBPIXEL_BITS,
    SceneCamera,
    SceneError,
    View,
    clip_to_near,
    subpixels,
)
from smolvla_ros.simulation.solids import PosedSolids, SceneBox, Solids
from smolvla_ros.simulation.table import Table
from smolvla_ros.simulation.visibility import painting_order
from smolvla_ros.urdf import Urdf


def block(name: str, x_m: float, y_m: float, rgb: tuple[int, int, int], yaw_rad: float) -> SceneBox:
    """A cube of 2.5 cm on the table."""
    pose = transform((x_m, y_m, 0.0125), (0.0, 0.0, yaw_rad))
    return SceneBox(name, (0.025, 0.025, 0.025), rgb, pose)


BLOCKS = (
    block("red_block", 0.24, -0.09, (206, 40, 36), 0.35),
    block("green_block", 0.29, 0.03, (44, 150, 66), -0.5),
    block("blue_block", 0.20, 0.12, (38, 82, 190), 0.1),
)


class Scene:
    """An arm on a table with boxes; one object serves any number of cameras, from one thread.

    `seed` is that of the sensor noise. The same seed and the same calls give the same images. The cameras and the
    colours of boxes are those of the caller, not of the appearance.
    """

    def __init__(
        self,
        urdf: Urdf,
        boxes: Sequence[SceneBox] = BLOCKS,
        appearance: Appearance = DEFAULT,
        *,
        seed: int = 0,
    ) -> None:
        self.kinematics = Kinematics(urdf)
        self._appearance = appearance
        self._light = np.array(appearance.light_direction)
        self._gains = np.array(appearance.gains)
        self._solids = Solids(urdf, boxes)
        self._boxes = tuple(boxes)
        self._table = Table(
            appearance.texture, appearance.table_rgb * self._gains, appearance.wall_rgb * self._gains
        )
        self._noise = _SensorNoise(appearance.noise, seed)
        self._backgrounds: dict[SceneCamera, tuple[FloatArray, ImageArray]] = {}

    def render(
        self,
        positions: Mapping[str, float],
        camera: SceneCamera,
        box_poses: Mapping[str, FloatArray] = MappingProxyType({}),
    ) -> ImageArray:
        """An image (height, width, 3) RGB uint8 with the joints at `positions` [rad].

        box_poses: pose (4, 4) in the root frame, by name, of boxes that are not where they were at first. Raises
        KinematicsError when a joint is missing, SceneError when the URDF lacks the camera's frame.
        """
        poses = self.kinematics.link_poses(positions)
        if camera.frame_id not in poses:
            raise SceneError(f"the URDF has no camera frame '{camera.frame_id}' (it has {', '.join(poses)})")
        solids = self._solids.pose(
            poses | {box.name: box_poses.get(box.name, box.pose) for box in self._boxes}
        )
        view = View(camera, poses[camera.frame_id])
        image = self._background(view)
        if self._solids.count:
            self._darken_shadows(image, view, solids)
            self._paint_solids(image, view, solids)
        return self._noise.add_to(image)

    def _background(self, view: View) -> ImageArray:
        """The table alone; cached while the camera does not move."""
        kept = self._backgrounds.get(view.camera)
        if kept is None or not np.array_equal(kept[0], view.pose):
            kept = (view.pose, self._table.draw(view))
            self._backgrounds[view.camera] = kept
        return kept[1].copy()

    def _darken_shadows(self, image: ImageArray, view: View, solids: PosedSolids) -> None:
        """Every face towards the lamp casts a shadow on the table."""
        light = self._light
        ground = solids.vertices - light * (solids.vertices[:, 2:] / light[2])
        faces = _FacesInView(self._solids, view, ground)
        mask = np.zeros(image.shape[:2], np.uint8)
        for face in np.flatnonzero(solids.normals @ light > 0.0).tolist():
            polygon = faces.polygon(face)
            if polygon is not None:
                cv2.fillConvexPoly(mask, polygon, (255,), cv2.LINE_8, SUBPIXEL_BITS)
        cv2.copyTo(cv2.convertScaleAbs(image, alpha=self._appearance.shadow), mask, image)

    def _paint_solids(self, image: ImageArray, view: View, solids: PosedSolids) -> None:
        """Far solids first; visible faces of one convex solid do not hide each other."""
        faces = _FacesInView(self._solids, view, solids.vertices)
        look, lamp = self._appearance, np.maximum(solids.normals @ self._light, 0.0)
        # ambient light, light from above, light of the lamp
        brightness = look.ambient + 0.12 * solids.normals[:, 2] + look.lamp * lamp
        colours = np.clip(self._solids.face_rgb * self._gains * brightness[:, None], 0, 255).tolist()
        facing: list[list[int]] = [[] for _ in range(self._solids.count)]
        visible = np.flatnonzero(solids.normals @ view.eye > solids.offsets)
        for face, solid in zip(visible.tolist(), self._solids.face_solid[visible].tolist(), strict=True):
            facing[solid].append(face)
        overlap = faces.overlap()
        for solid in painting_order(solids, view.eye, overlap):
            for face in facing[solid] if overlap[solid, solid] else ():
                polygon = faces.polygon(face)
                if polygon is not None:
                    cv2.fillConvexPoly(image, polygon, colours[face], cv2.LINE_AA, SUBPIXEL_BITS)


class _FacesInView:
    """All faces as polygons of one image; `vertices` (n, 3) are those of the solids or of their shadows."""

    def __init__(self, solids: Solids, view: View, vertices: FloatArray) -> None:
        self._solids = solids
        self._view = view
        self._points = view.to_camera(vertices)
        self._pixels = view.to_pixels(self._points)
        self._fixed_point = subpixels(self._pixels)
        self._behind = self._points[:, 2] < NEAR_M
        behind, first = self._behind[solids.face_vertices], solids.first_face_vertex
        self._partly_behind: list[bool] = np.logical_or.reduceat(behind, first).tolist()
        self._wholly_behind: list[bool] = np.logical_and.reduceat(behind, first).tolist()

    def polygon(self, face: int) -> PixelArray | None:
        """The face as OpenCV draws it, None when it is behind the camera."""
        if self._wholly_behind[face]:
            return None
        vertices = self._solids.faces[face]
        if self._partly_behind[face]:
            return self._view.outline(self._points[vertices])
        polygon: PixelArray = self._fixed_point[vertices]
        return polygon

    def overlap(self) -> BoolArray:
        """(solids, solids): whether their bounding rectangles share a pixel; the diagonal: which are in view."""
        first = self._solids.first_vertex
        low = np.minimum.reduceat(self._pixels, first, axis=0)
        high = np.maximum.reduceat(self._pixels, first, axis=0)
        partly, wholly = (f.reduceat(self._behind, first) for f in (np.logical_or, np.logical_and))
        low[wholly], high[wholly] = np.inf, -np.inf
        for solid in np.flatnonzero(partly & ~wholly).tolist():
            low[solid], high[solid] = self._bounds_of_cut(solid)
        camera = self._view.camera
        low, high = np.maximum(low, -1.0), np.minimum(high, (camera.width, camera.height))
        return np.asarray(
            (np.maximum(low[:, None], low[None]) <= np.minimum(high[:, None], high[None])).all(axis=2)
        )

    def _bounds_of_cut(self, solid: int) -> tuple[FloatArray, FloatArray]:
        """The bounding rectangle of the part of a solid that is in front of the camera."""
        faces = np.flatnonzero(self._solids.face_solid == solid).tolist()
        kept = np.concatenate([clip_to_near(self._points[self._solids.faces[face]]) for face in faces])
        pixels = self._view.to_pixels(kept)
        return pixels.min(axis=0), pixels.max(axis=0)


class _SensorNoise:
    """Sensor noise, taken from a precomputed array at a random offset, for speed."""

    MARGIN = 64

    def __init__(self, deviation: float, seed: int) -> None:
        self._deviation = deviation
        self._random = np.random.default_rng(seed)

    def add_to(self, image: ImageArray) -> ImageArray:
        """The image with noise, limited to 0 .. 255."""
        if self._deviation <= 0.0:
            return image
        height, width = image.shape[:2]
        brighter, darker = _noise_arrays(self._deviation, height + self.MARGIN, width + self.MARGIN)
        row, column = self._random.integers(0, self.MARGIN, 2).tolist()
        part = (slice(row, row + height), slice(column, column + width))
        cv2.add(image, brighter[part], image)
        cv2.subtract(image, darker[part], image)
        return image


@lru_cache(maxsize=32)
def _noise_arrays(deviation: float, height: int, width: int) -> tuple[ImageArray, ImageArray]:
    """What is added and what is subtracted, both (height, width, 3)."""
    noise = np.rint(np.random.default_rng(0).normal(0.0, deviation, (height, width, 3)))
    return np.clip(noise, 0, 255).astype(np.uint8), np.clip(-noise, 0, 255).astype(np.uint8)
