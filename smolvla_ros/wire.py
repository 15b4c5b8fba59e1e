# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Converts ROS messages to the values used inside the package.

Fields are read by name and nothing of ROS is imported, so the same functions convert rclpy messages and messages read
from a bag without ROS. The reverse direction needs the message classes: `nodes/messages.py`.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from smolvla_ros.chunk import MAX_POSITION_RAD, MAX_TEXT, ActionChunk, ChunkError, ChunkRequest, RequestReason
from smolvla_ros.image import ImageError, decode_compressed, to_rgb
from smolvla_ros.observation import NANOSECONDS, Frame
from smolvla_ros.robot import Joints


class WireError(ValueError):
    """Fields of a message contradict each other or this robot; the message names both."""


class MissingJointsError(WireError):
    """Joint states lack joints of the robot, whose servos did not answer; the others are there."""


def nanoseconds(time_or_duration: Any) -> int:
    """builtin_interfaces Time or Duration -> ns."""
    return int(time_or_duration.sec) * NANOSECONDS + int(time_or_duration.nanosec)


def header_stamp_ns(msg: Any) -> int:
    """The stamp of a message that has a std_msgs/Header."""
    return nanoseconds(msg.header.stamp)


def serialized_header_stamp_ns(data: bytes) -> int:
    """The stamp of a serialized message whose first field is a std_msgs/Header.

    CDR: four bytes of encapsulation, the second odd for little endian, then sec and nanosec.
    """
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(sec) * NANOSECONDS + int(nanosec)


def frame_from_msg(msg: Any, camera: str) -> Frame:
    """sensor_msgs Image or CompressedImage -> Frame; raises ImageError."""
    stamp_ns = header_stamp_ns(msg)
    if hasattr(msg, "encoding"):
        image = to_rgb(msg.data, msg.height, msg.width, msg.encoding, msg.step, bool(msg.is_bigendian))
        return Frame(camera, stamp_ns, image)
    if "compressedDepth" in msg.format:
        raise ImageError(f"image format '{msg.format}' is depth, not colour; use the camera's colour topic")
    encoded = bytes(msg.data)
    return Frame(camera, stamp_ns, decode_compressed(encoded), encoded)


def joints_from_msg(msg: Any, joint_names: tuple[str, ...]) -> Joints:
    """sensor_msgs JointState -> Joints in the order of `joint_names`; other joints are left out.

    Missing velocities and efforts become zeros, and so do NaN, which ros2_control's joint_state_broadcaster publishes
    for interfaces that a joint does not have. Raises MissingJointsError, WireError on arrays of different lengths,
    positions that are no angles in radians, infinite velocities or efforts.
    """
    index = {str(name): i for i, name in enumerate(msg.name)}
    missing = [name for name in joint_names if name not in index]
    if missing:
        names = ", ".join(index)
        is_part = index.keys() <= set(joint_names)
        raise (MissingJointsError if is_part else WireError)(
            f"joint states lack {', '.join(missing)}; they have {names[:MAX_TEXT]}{'...' if names[MAX_TEXT:] else ''}"
        )
    order = [index[name] for name in joint_names]
    positions, velocities, efforts = (
        _joint_array(getattr(msg, name), name, len(index), order)
        for name in ("position", "velocity", "effort")
    )
    if positions is None:
        raise WireError("joint states carry no positions")
    if (np.abs(positions) > MAX_POSITION_RAD).any():
        worst = int(np.abs(positions).argmax())
        raise WireError(
            f"joint states: {joint_names[worst]} is at {positions[worst]:.4g} rad; are these radians?"
        )
    zeros = np.zeros(len(order))
    return Joints(
        header_stamp_ns(msg),
        positions,
        zeros if velocities is None else velocities,
        zeros if efforts is None else efforts,
    )


def _joint_array(
    values: Any, field: str, count: int, order: list[int]
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    if len(values) == 0:
        return None
    if len(values) != count:
        raise WireError(f"joint states have {count} names and {len(values)} values of {field}")
    array = np.asarray(values, np.float64)[order]
    if field != "position":
        array = np.where(np.isnan(array), 0.0, array)
    if not np.isfinite(array).all():
        raise WireError(f"joint states: {field} {array.tolist()} is not finite")
    return array


def chunk_from_msg(msg: Any) -> ActionChunk:
    """smolvla_ros ActionChunk -> ActionChunk; raises ChunkError if the positions are not whole rows."""
    joint_names = tuple(str(name) for name in msg.joint_names)
    positions = np.array(msg.positions, np.float64)
    if not joint_names or positions.size == 0 or positions.size % len(joint_names):
        raise ChunkError(
            "wrong_width",
            f"chunk {msg.chunk_id}: {positions.size} positions are no whole rows of {len(joint_names)} joints",
        )
    return ActionChunk(
        positions=positions.reshape(-1, len(joint_names)),
        joint_names=joint_names,
        observation_stamp_ns=nanoseconds(msg.observation_stamp),
        step_duration_ns=nanoseconds(msg.step_duration),
        chunk_id=int(msg.chunk_id),
        request_id=int(msg.request_id),
        task=str(msg.task),
        policy=str(msg.policy),
        inference_duration_s=nanoseconds(msg.inference_duration) / NANOSECONDS,
        expires_ns=nanoseconds(msg.expires),
    )


def request_from_msg(msg: Any) -> ChunkRequest:
    """smolvla_ros ChunkRequest -> ChunkRequest; raises WireError."""
    joint_names = tuple(str(name) for name in msg.joint_names)
    prefix = np.array(msg.prefix, np.float64)
    if prefix.size and (not joint_names or prefix.size % len(joint_names)):
        raise WireError(
            f"request {msg.request_id}: {prefix.size} prefix values for {len(joint_names)} joints"
        )
    if not msg.request_id:
        raise WireError("a request has request_id 0, which stands for none in chunks; count from 1")
    if not (np.abs(prefix) <= MAX_POSITION_RAD).all():
        raise WireError(f"request {msg.request_id}: its prefix holds positions that are no angles in radians")
    if msg.reason not in tuple(RequestReason):
        raise WireError(
            f"request {msg.request_id}: reason {msg.reason} is none of {[*map(int, RequestReason)]}"
        )
    return ChunkRequest(
        stamp_ns=header_stamp_ns(msg),
        request_id=int(msg.request_id),
        task=str(msg.task),
        reason=RequestReason(msg.reason),
        queue_duration_s=nanoseconds(msg.queue_duration) / NANOSECONDS,
        joint_names=joint_names,
        prefix=prefix.reshape(-1, max(len(joint_names), 1)),
        prefix_stamp_ns=nanoseconds(msg.prefix_stamp),
        expected_delay_s=nanoseconds(msg.expected_delay) / NANOSECONDS,
    )
