# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An ideal pinhole camera: projects points in the robot's root frame to polygons in an image.

Parts behind the camera are clipped here. No lens distortion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray, PixelArray
from smolvla_ros.robot import CameraSpec
from smolvla_ros.simulation.kinematics import transform
from smolvla_ros.urdf import Vector

NEAR_M = 0.01  # nearer parts are clipped
SUBPIXEL_BITS = 4  # polygons are in 1/16 pixel, the `shift` of OpenCV's drawing functions


class SceneError(ValueError):
    """The scene cannot be drawn as asked; the message names the camera and what is wrong."""


@dataclass(frozen=True)
class SceneCamera:
    """A camera in an optical frame of the URDF (z forward, x right, y down: REP 103)."""

    frame_id: str
    width: int = 640
    height: int = 480
    horizontal_fov_rad: float = 1.2  # 69 degrees, a typical webcam
    offset_m: Vector = (0.0, 0.0, 0.0)  # where it is in that frame, and how it is turned
    offset_rpy_rad: Vector = (0.0, 0.0, 0.0)

    @classmethod
    def of(cls, spec: CameraSpec) -> SceneCamera:
        """The camera of a robot file as every simulation has it."""
        return cls(spec.frame_id, spec.width, spec.height)

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise SceneError(
                f"camera '{self.frame_id}': size must be positive, got {self.width}x{self.height}"
            )
        if not 0.0 < self.horizontal_fov_rad < math.pi:
            raise SceneError(
                f"camera '{self.frame_id}': horizontal_fov_rad must be above 0 and below pi, "
                f"got {self.horizontal_fov_rad}"
            )

    @property
    def camera_matrix(self) -> FloatArray:
        """Intrinsics K (3, 3) in pixels, as in camera_info: square pixels, the optical axis at the centre."""
        focal = 0.5 * self.width / math.tan(0.5 * self.horizontal_fov_rad)
        middle_x, middle_y = 0.5 * (self.width - 1), 0.5 * (self.height - 1)
        return np.array([[focal, 0.0, middle_x], [0.0, focal, middle_y], [0.0, 0.0, 1.0]])


class View:
    """A camera; `frame_pose`: pose (4, 4) of its optical frame in the root frame."""

    def __init__(self, camera: SceneCamera, frame_pose: FloatArray) -> None:
        self.camera = camera
        pose = frame_pose @ transform(camera.offset_m, camera.offset_rpy_rad)
        self.pose = pose
        self.eye = pose[:3, 3]
        self.matrix = camera.camera_matrix
        self.world_to_camera = np.eye(4)
        self.world_to_camera[:3, :3] = pose[:3, :3].T
        self.world_to_camera[:3, 3] = -pose[:3, :3].T @ self.eye

    def to_camera(self, points: FloatArray) -> FloatArray:
        """Points (n, 3) from the root frame to the optical frame."""
        moved: FloatArray = (points - self.eye) @ self.pose[:3, :3]
        return moved

    def to_pixels(self, points: FloatArray) -> FloatArray:
        """Pixels (n, 2) of points in the optical frame; undefined for points nearer than NEAR_M."""
        depth = np.maximum(points[:, 2:], NEAR_M)
        pixels: FloatArray = points[:, :2] / depth * self.matrix[0, 0] + self.matrix[:2, 2]
        return pixels

    def outline(self, polygon: FloatArray) -> PixelArray | None:
        """A convex polygon (n, 3) of the optical frame, clipped at NEAR_M, for OpenCV; None if nothing is left."""
        kept = clip_to_near(polygon)
        return subpixels(self.to_pixels(kept)) if len(kept) >= 3 else None


def subpixels(pixels: FloatArray) -> PixelArray:
    """Fixed-point coordinates for OpenCV's drawing functions with shift=SUBPIXEL_BITS."""
    return np.rint(pixels * (1 << SUBPIXEL_BITS)).astype(np.int32)


def clip_to_near(polygon: FloatArray) -> FloatArray:
    """The part of a convex polygon (n, 3) with z >= NEAR_M; (0, 3) when nothing is left."""
    z = (polygon[:, 2] - NEAR_M).tolist()
    kept = []
    for index in range(len(polygon)):
        after = (index + 1) % len(polygon)
        if z[index] >= 0.0:
            kept.append(polygon[index])
        if (z[index] >= 0.0) != (z[after] >= 0.0):
            share = z[index] / (z[index] - z[after])
            kept.append(polygon[index] + share * (polygon[after] - polygon[index]))
    return np.array(kept).reshape(-1, 3)
