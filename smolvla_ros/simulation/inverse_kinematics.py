# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joint positions that bring the gripper over a point of the table, pointing down: closed form, from the URDF.

The arm is a pan joint, three joints with parallel axes in the plane that the pan joint turns, and a roll joint along
the gripper. With the gripper's pitch chosen, two links remain, whose angles follow from the law of cosines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.simulation.kinematics import Kinematics, KinematicsError, wrapped_angle
from smolvla_ros.urdf import Urdf

ARM_JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
# From straight down, tried in this order: a point too far, too near or too high for the first is reached with another.
TILTS_RAD = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)

CONFIRMED_M = 0.01  # tilted, the grasp point is off by up to 6 mm, as it lies beside the roll axis


class InverseKinematics:
    """For an arm built like the SO-100. `grasp_point`: (3,) m in the frame of gripper_link, goes to the target."""

    def __init__(self, urdf: Urdf, grasp_point: Sequence[float]) -> None:
        self._limits = [(urdf.joints[name].lower, urdf.joints[name].upper) for name in ARM_JOINTS]
        kinematics = Kinematics(urdf)
        zero = dict.fromkeys(kinematics.joint_names, 0.0)
        poses, raised = kinematics.link_poses(zero), kinematics.link_poses({**zero, "shoulder_lift": 1e-3})
        lift, elbow, wrist, gripper = (
            poses[urdf.joints[name].child]
            for name in ("shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
        )
        self._pan_axis_m = poses[urdf.joints["shoulder_pan"].child][0, 3]
        self._lift_axis_m = lift[[0, 2], 3]  # radial and up, with the pan joint at 0
        self._upper, self._upper_rad = _polar(elbow[:, 3] - lift[:, 3])
        self._lower, self._lower_rad = _polar(wrist[:, 3] - elbow[:, 3])
        # Along the roll axis from the wrist joint to the height of the grasp point, and beside that axis.
        approach = -gripper[:3, 1]
        along = float((gripper[:3, :3] @ np.asarray(grasp_point) + gripper[:3, 3] - wrist[:3, 3]) @ approach)
        self._tool, self._tool_rad = along, _polar(approach)[1]
        self._beside_m = float(grasp_point[0])
        moved = raised[urdf.joints["shoulder_lift"].child][:3, :3] @ np.array([0.0, 1.0, 0.0])
        self._sign = math.copysign(1.0, _polar(moved)[1] - _polar(lift[:3, 1])[1])
        down = kinematics.link_poses({**zero, "wrist_flex": self._sign * (-math.pi / 2 - self._tool_rad)})
        x_axis = down[urdf.joints["wrist_roll"].child][:3, 0]
        self._roll_zero_rad = math.atan2(x_axis[1], x_axis[0])
        self._check(urdf, kinematics, grasp_point)

    def joints(self, target: Sequence[float] | FloatArray, yaw_rad: float) -> FloatArray | None:
        """Positions (5,) rad of ARM_JOINTS that bring the grasp point to `target` (3,) m; None out of reach.

        yaw_rad: of the gripper's x axis, along which the jaws open, about the vertical.
        """
        over = np.asarray(target[:2]) - self._beside_m * np.array([math.cos(yaw_rad), math.sin(yaw_rad)])
        pan = math.atan2(over[1], over[0] - self._pan_axis_m)
        radius = math.hypot(over[0] - self._pan_axis_m, over[1]) + self._pan_axis_m
        roll = wrapped_angle(yaw_rad - self._roll_zero_rad - pan)
        for tilt in TILTS_RAD:
            pitch = tilt - math.pi / 2
            reach = np.array([radius, target[2]]) - self._tool * np.array([math.cos(pitch), math.sin(pitch)])
            angles = self._two_links(reach - self._lift_axis_m)
            if angles is None:
                continue
            lift = self._sign * wrapped_angle(angles[0] - self._upper_rad)
            elbow = self._sign * wrapped_angle(angles[1] - self._lower_rad) - lift
            wrist = self._sign * wrapped_angle(pitch - self._tool_rad) - lift - elbow
            found = np.array([pan, lift, elbow, wrist, roll])
            if all(low <= value <= high for value, (low, high) in zip(found, self._limits, strict=True)):
                return found
        return None

    def _check(self, urdf: Urdf, kinematics: Kinematics, grasp_point: Sequence[float]) -> None:
        """Raises KinematicsError unless forward kinematics confirms what is found for a point in front of the arm."""
        target = (self._pan_axis_m + 0.17, 0.05, 0.03)
        joints = self.joints(target, math.pi)
        if joints is not None:
            positions = dict.fromkeys(kinematics.joint_names, 0.0) | dict(zip(ARM_JOINTS, joints.tolist()))
            pose = kinematics.link_poses(positions)[urdf.joints["wrist_roll"].child]
            reached = pose[:3, :3] @ np.asarray(grasp_point) + pose[:3, 3]
            if math.dist(reached, target) < CONFIRMED_M:
                return
        raise KinematicsError(
            f"the arm '{urdf.name}' is not built like the SO-100, whose closed-form inverse kinematics this is"
        )

    def _two_links(self, reach: FloatArray) -> tuple[float, float] | None:
        """Angles above the horizontal of upper and lower arm that reach from the lift axis to the wrist, elbow up."""
        distance = float(np.hypot(*reach))
        if not abs(self._upper - self._lower) < distance < self._upper + self._lower:
            return None
        direction = math.atan2(reach[1], reach[0])
        return (
            direction + _corner(self._upper, distance, self._lower),
            direction - _corner(self._lower, distance, self._upper),
        )


def _polar(vector: FloatArray) -> tuple[float, float]:
    """Length, and angle above the horizontal in the x-z plane."""
    return math.hypot(vector[0], vector[2]), math.atan2(vector[2], vector[0])


def _corner(first: float, second: float, opposite: float) -> float:
    """The angle between two sides of a triangle."""
    return math.acos((first**2 + second**2 - opposite**2) / (2 * first * second))
