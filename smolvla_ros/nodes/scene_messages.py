# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The boxes of a scene as visualization markers, which RViz and Foxglove draw, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from smolvla_ros.arrays import FloatArray
from smolvla_ros.simulation.kinematics import quaternion, rotation_from_quaternion
from smolvla_ros.simulation.solids import SceneBox
from smolvla_ros.wire import WireError


def marker_array_msg(boxes: tuple[SceneBox, ...], frame_id: str, stamp: Any) -> MarkerArray:
    """One cube marker for each box, at its pose; the names are the markers' namespaces."""
    message = MarkerArray()
    for box in boxes:
        marker = Marker(ns=box.name, type=Marker.CUBE, action=Marker.ADD)
        marker.header.frame_id, marker.header.stamp = frame_id, stamp
        marker.pose = pose_msg(box.pose)
        marker.scale = Vector3(x=box.size_m[0], y=box.size_m[1], z=box.size_m[2])
        red, green, blue = (channel / 255.0 for channel in box.rgb)
        marker.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
        message.markers.append(marker)
    return message


def boxes_from_msg(message: Any) -> tuple[SceneBox, ...]:
    """The cubes of a MarkerArray; raises WireError for values that are no box."""
    boxes = []
    for marker in message.markers:
        if marker.type != Marker.CUBE or marker.action != Marker.ADD:
            continue
        size = (marker.scale.x, marker.scale.y, marker.scale.z)
        pose = _pose(marker.pose)
        rgb = np.array([marker.color.r, marker.color.g, marker.color.b]) * 255.0
        if not (
            np.isfinite(pose).all() and np.isfinite(size).all() and min(size) > 0.0 and np.isfinite(rgb).all()
        ):
            raise WireError(f"marker '{marker.ns}': pose, scale or colour is no finite box")
        red, green, blue = np.clip(np.rint(rgb), 0, 255).astype(int).tolist()
        boxes.append(SceneBox(marker.ns, size, (red, green, blue), pose))
    return tuple(boxes)


def pose_msg(pose: FloatArray) -> Pose:
    """A pose (4, 4) as a message."""
    x, y, z = pose[:3, 3].tolist()
    qx, qy, qz, qw = quaternion(pose[:3, :3]).tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def _pose(message: Any) -> FloatArray:
    pose = np.eye(4)
    orientation = message.orientation
    pose[:3, :3] = rotation_from_quaternion(
        np.array([orientation.x, orientation.y, orientation.z, orientation.w])
    )
    pose[:3, 3] = (message.position.x, message.position.y, message.position.z)
    return pose
