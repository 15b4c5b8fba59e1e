# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forward kinematics of a URDF.

Joint limits are not applied. No inverse kinematics, no velocities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.urdf import Urdf, UrdfJoint, Vector


class KinematicsError(ValueError):
    """The given joints do not match the robot; the message names them."""


def rotation_from_rpy(rpy: Vector) -> FloatArray:
    """Rotation matrix (3, 3) of URDF's roll, pitch, yaw [rad]: about the fixed axes x, then y, then z."""
    (cr, cp, cy), (sr, sp, sy) = (tuple(f(angle) for angle in rpy) for f in (math.cos, math.sin))
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def transform(xyz: Vector, rpy: Vector) -> FloatArray:
    """Homogeneous transform (4, 4) of a URDF <origin>; metres, radians."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_from_rpy(rpy)
    matrix[:3, 3] = xyz
    return matrix


def quaternion(rotation: FloatArray) -> FloatArray:
    """Unit quaternion (x, y, z, w) of a rotation matrix (3, 3): the eigenvector of Bar-Itzhack (2000), version 3."""
    m = rotation
    symmetric = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    values: FloatArray = np.linalg.eigh(symmetric)[1][:, -1]
    return values


def rotation_from_quaternion(xyzw: FloatArray) -> FloatArray:
    """Rotation matrix (3, 3) of a quaternion of any length but 0; NaN for that."""
    length = np.linalg.norm(xyzw)
    x, y, z, w = xyzw / length if length > 0.0 else np.full(4, np.nan)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def wrapped_angle(angle_rad: float) -> float:
    """The same angle between -pi and pi."""
    return (angle_rad + math.pi) % (2 * math.pi) - math.pi


class Kinematics:
    """Forward kinematics of one robot; what does not depend on the joints is computed once."""

    def __init__(self, urdf: Urdf) -> None:
        joints = _parents_first(urdf)
        for joint in joints:
            if joint.type in ("floating", "planar"):
                raise KinematicsError(
                    f"joint '{joint.name}' is {joint.type}: only joints of one number are supported"
                )
        self.root = urdf.root
        self.joint_names = tuple(joint.name for joint in joints if joint.is_movable)
        # Rodrigues: a joint at q is A + sin(q) S + (1 - cos(q)) C + q P; three of the four vanish for a fixed
        # one.
        terms = [_motion_terms(joint) for joint in joints]
        self._fixed, self._sine, self._cosine, self._linear = (
            np.array([term[k] for term in terms]).reshape(-1, 4, 4) for k in range(4)
        )
        self._movable_rows = np.array(
            [row for row, joint in enumerate(joints) if joint.is_movable], dtype=int
        )
        self._chain = [(joint.parent, joint.child) for joint in joints]

    def link_poses(self, positions: Mapping[str, float]) -> dict[str, FloatArray]:
        """Pose (4, 4) of every link in the frame of the root link, which is `root`.

        `positions` holds every movable joint [rad or m]; further names are
        ignored. Raises KinematicsError when a joint is missing or not finite.
        """
        q = np.zeros(len(self._chain))
        q[self._movable_rows] = self._values(positions)
        turn = q[:, None, None]
        steps = (
            self._fixed
            + np.sin(turn) * self._sine
            + (1.0 - np.cos(turn)) * self._cosine
            + turn * self._linear
        )
        poses: dict[str, FloatArray] = {self.root: np.eye(4)}
        for (parent, child), step in zip(self._chain, steps, strict=True):
            poses[child] = poses[parent] @ step
        return poses

    def _values(self, positions: Mapping[str, float]) -> list[float]:
        try:
            values = [float(positions[name]) for name in self.joint_names]
        except KeyError as error:
            raise KinematicsError(
                f"no position for joint {error}; given: {', '.join(positions) or 'none'}, "
                f"needed: {', '.join(self.joint_names)}"
            ) from error
        for name, value in zip(self.joint_names, values, strict=True):
            if not math.isfinite(value):
                raise KinematicsError(f"position of joint '{name}' is {value}")
        return values


def _motion_terms(joint: UrdfJoint) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    origin, zero = transform(joint.origin_xyz, joint.origin_rpy), np.zeros((4, 4))
    x, y, z = joint.axis
    if joint.type == "fixed":
        return origin, zero, zero, zero
    if joint.type == "prismatic":
        slide = np.zeros((4, 4))
        slide[:3, 3] = joint.axis
        return origin, zero, zero, origin @ slide
    cross = np.zeros((4, 4))
    cross[:3, :3] = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]
    return origin, origin @ cross, origin @ cross @ cross, zero


def _parents_first(urdf: Urdf) -> list[UrdfJoint]:
    ordered: list[UrdfJoint] = []
    reached = [urdf.root]
    while reached:
        link = reached.pop()
        joints = [joint for joint in urdf.joints.values() if joint.parent == link]
        ordered += joints
        reached += [joint.child for joint in joints]
    return ordered
