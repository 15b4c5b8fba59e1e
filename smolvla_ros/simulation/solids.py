# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The convex bodies of a scene: a robot's primitive shapes and the boxes on the table, as flat-faced solids.

Stored in a few long arrays, so that the scene is moved with one matrix product per link.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray, IntArray
from smolvla_ros.simulation.kinematics import transform
from smolvla_ros.urdf import Box, Cylinder, Shape, Sphere, Urdf, Vector

CYLINDER_SIDES = 14  # enough to look round at 640x480
SPHERE_BANDS = 6
_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_SIDES = (
    (0, 1, 3, 2),  # -x
    (4, 6, 7, 5),
    (0, 4, 5, 1),  # -y
    (2, 3, 7, 6),
    (0, 2, 6, 4),  # -z
    (1, 5, 7, 3),
)


@dataclass(frozen=True, eq=False)
class SceneBox:
    """A box that is no part of the robot and may move. `pose`: where it is until it is said to be elsewhere."""

    name: str
    size_m: Vector
    rgb: tuple[int, int, int]
    pose: FloatArray  # (4, 4) of its centre, in the root frame of the robot


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """A convex body; faces list vertices counter-clockwise as seen from outside."""

    vertices: FloatArray  # (n, 3)
    faces: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class PosedSolids:
    """All solids at one moment, in the root frame of the robot."""

    vertices: FloatArray  # (vertices, 3)
    normals: FloatArray  # (faces, 3), unit length, outward
    offsets: FloatArray  # (faces,): a point p is outside of face f when normals[f] @ p > offsets[f]
    box_centres: FloatArray  # (solids, 3), of the box around each solid
    box_axes: FloatArray  # (solids, 3, 3), its unit edge directions in rows
    box_half_sizes: FloatArray  # (solids, 3), half its edge lengths


class Solids:
    """The solids of a scene, in link frames."""

    def __init__(self, urdf: Urdf, boxes: Sequence[SceneBox]) -> None:
        parts: list[tuple[str, FloatArray, Shape, tuple[float, ...]]] = [
            (link.name, transform(visual.origin_xyz, visual.origin_rpy), visual.shape, visual.rgba[:3])
            for link in urdf.links.values()
            for visual in link.visuals
        ]
        for box in boxes:
            rgb = tuple(channel / 255.0 for channel in box.rgb)
            parts.append((box.name, np.eye(4), Box(box.size_m), rgb))
        self.count = len(parts)
        vertices, faces, face_solid, first = [], [], [], [0]
        for index, (_, pose, shape, _) in enumerate(parts):
            body = polyhedron(shape)
            faces += [tuple(first[-1] + vertex for vertex in face) for face in body.faces]
            face_solid += [index] * len(body.faces)
            first.append(first[-1] + len(body.vertices))
            vertices.append(body.vertices @ pose[:3, :3].T + pose[:3, 3])
        self.faces = [np.array(face, dtype=np.int64) for face in faces]
        self.face_vertices: IntArray = np.concatenate([*self.faces, np.zeros(0, dtype=np.int64)])
        self.first_face_vertex: IntArray = np.cumsum([0, *(len(face) for face in faces[:-1])], dtype=np.int64)
        self.face_solid: IntArray = np.array(face_solid, dtype=np.int64)
        self.first_vertex: IntArray = np.array(first[:-1], dtype=np.int64)
        self.face_rgb = 255.0 * np.array([parts[solid][3] for solid in face_solid]).reshape(-1, 3)
        self._vertices = np.concatenate([np.zeros((0, 3)), *vertices])
        self._centres = np.array([pose[:3, 3] for _, pose, _, _ in parts]).reshape(-1, 3)
        self._axes = np.array([pose[:3, :3].T for _, pose, _, _ in parts]).reshape(-1, 3, 3)
        self._half_sizes = np.array([0.5 * _extent(shape) for _, _, shape, _ in parts]).reshape(-1, 3)
        self._links = _runs([part[0] for part in parts], first)
        self._face_starts = np.array([face[:3] for face in faces], dtype=np.int64).reshape(-1, 3)

    def pose(self, link_poses: Mapping[str, FloatArray]) -> PosedSolids:
        """The solids with their links at `link_poses`, each (4, 4) in the root frame."""
        vertices = np.empty_like(self._vertices)
        centres, axes = np.empty_like(self._centres), np.empty_like(self._axes)
        for link, solids, points in self._links:
            rotation, position = link_poses[link][:3, :3].T, link_poses[link][:3, 3]
            vertices[points] = self._vertices[points] @ rotation + position
            centres[solids] = self._centres[solids] @ rotation + position
            axes[solids] = self._axes[solids] @ rotation
        normals, offsets = _planes(vertices[self._face_starts])
        return PosedSolids(vertices, normals, offsets, centres, axes, self._half_sizes)


def polyhedron(shape: Shape) -> Polyhedron:
    """A polyhedron of the shape, with the same centre."""
    if isinstance(shape, Box):
        return Polyhedron(_CORNERS * np.array(shape.size), _SIDES)
    if isinstance(shape, Cylinder):
        rings = [(shape.radius, -0.5 * shape.length), (shape.radius, 0.5 * shape.length)]
        return _turned(rings, CYLINDER_SIDES)
    angles = [math.pi * (band / SPHERE_BANDS - 0.5) for band in range(SPHERE_BANDS + 1)]
    # The poles become tiny rings, which keeps every side a quadrilateral.
    rings = [(shape.radius * max(math.cos(a), 0.05), shape.radius * math.sin(a)) for a in angles]
    return _turned(rings, CYLINDER_SIDES)


def _turned(rings: list[tuple[float, float]], sides: int) -> Polyhedron:
    """A body of revolution about z through rings of (radius, height), from the lowest to the highest."""
    angles = 2.0 * math.pi * np.arange(sides) / sides
    circle = np.stack([np.cos(angles), np.sin(angles), np.zeros(sides)], axis=1)
    vertices = np.concatenate([circle * radius + (0.0, 0.0, height) for radius, height in rings])
    faces: list[tuple[int, ...]] = [tuple(reversed(range(sides)))]
    for ring in range(len(rings) - 1):
        low, high = ring * sides, (ring + 1) * sides
        for k in range(sides):
            after = (k + 1) % sides
            faces.append((low + k, low + after, high + after, high + k))
    faces.append(tuple(range((len(rings) - 1) * sides, len(rings) * sides)))
    return Polyhedron(vertices, tuple(faces))


def _extent(shape: Shape) -> FloatArray:
    if isinstance(shape, Box):
        return np.array(shape.size)
    if isinstance(shape, Sphere):
        return np.full(3, 2.0 * shape.radius)
    return np.array([2.0 * shape.radius, 2.0 * shape.radius, shape.length])


def _planes(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unit normals (n, 3) and offsets (n,) of the planes through three points each (n, 3, 3)."""
    across = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 1])
    normals: FloatArray = np.asarray(across / np.linalg.norm(across, axis=1, keepdims=True), dtype=np.float64)
    return normals, np.einsum("ij,ij->i", normals, points[:, 0])


def _runs(links: list[str], first_vertex: list[int]) -> list[tuple[str, slice, slice]]:
    """Neighbouring solids of one link: its name, their slice of the solids, their slice of the vertices."""
    runs = []
    start = 0
    for index in range(1, len(links) + 1):
        if index == len(links) or links[index] != links[start]:
            runs.append((links[start], slice(start, index), slice(first_vertex[start], first_vertex[index])))
            start = index
    return runs
