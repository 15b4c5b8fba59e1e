# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values -> ROS messages. `wire.py` does the reverse, for which no message classes are needed.

Large arrays are assigned as `array.array`: bytes or lists take rclpy up to a hundred times longer.
"""

from __future__ import annotations

import array
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

import smolvla_ros.msg as msg
from smolvla_ros.arrays import FloatArray
from smolvla_ros.chunk import ActionChunk, ChunkRequest
from smolvla_ros.execution.executor_status import ExecutorStatus
from smolvla_ros.image import encode_jpeg
from smolvla_ros.observation import NANOSECONDS, Frame
from smolvla_ros.robot import Joints
from smolvla_ros.simulation.tasks.task import Progress

if TYPE_CHECKING:  # its import needs the packages of the serial port
    from smolvla_ros.arm.arm_reading import ArmReading


def time_msg(stamp_ns: int) -> Time:
    sec, nanosec = divmod(stamp_ns, NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def duration_msg(duration_ns: int) -> Duration:
    sec, nanosec = divmod(duration_ns, NANOSECONDS)
    return Duration(sec=sec, nanosec=nanosec)


def seconds_msg(duration_s: float) -> Duration:
    return duration_msg(round(duration_s * NANOSECONDS))


def header(stamp_ns: int, frame_id: str = "") -> Header:
    return Header(stamp=time_msg(stamp_ns), frame_id=frame_id)


def image_msg(frame: Frame, frame_id: str) -> Image:
    """An rgb8 Image.

    Without cv_bridge: its cv2_to_imgmsg is equally fast (1 ms for 640x480), but takes 150 ms where messages check
    their fields, and it does not set the header.
    """
    height, width = frame.image.shape[:2]
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(frame.image).data)
    return Image(
        header=header(frame.stamp_ns, frame_id),
        height=height,
        width=width,
        encoding="rgb8",
        step=3 * width,
        data=data,
    )


def compressed_image_msg(frame: Frame, frame_id: str, jpeg_quality: int) -> CompressedImage:
    """A CompressedImage with JPEG data; `format` is that of image_transport."""
    data = array.array("B", encode_jpeg(frame.image, jpeg_quality))
    return CompressedImage(
        header=header(frame.stamp_ns, frame_id), format="rgb8; jpeg compressed bgr8", data=data
    )


def camera_info_msg(frame: Frame, frame_id: str, camera_matrix: FloatArray | None) -> CameraInfo:
    """CameraInfo of an undistorted pinhole camera; without a matrix it says "uncalibrated" (K all zero)."""
    height, width = frame.image.shape[:2]
    info = CameraInfo(header=header(frame.stamp_ns, frame_id), height=height, width=width)
    if camera_matrix is not None:
        info.distortion_model = "plumb_bob"
        info.d = [0.0] * 5
        info.k = camera_matrix.flatten()
        info.r = np.eye(3).flatten()
        info.p = np.hstack([camera_matrix, np.zeros((3, 1))]).flatten()
    return info


def joint_state_msg(joint_names: Sequence[str], joints: Joints) -> JointState:
    return JointState(
        header=header(joints.stamp_ns),
        name=list(joint_names),
        position=_doubles(joints.positions_rad),
        velocity=_doubles(joints.velocities_rad_s),
        effort=_doubles(joints.efforts),
    )


def joint_command_msg(
    joint_names: Sequence[str], stamp_ns: int, positions_rad: FloatArray, commander: str = ""
) -> JointState:
    """Positions (joints,) rad, from the node with the full name `commander`, which is sent in header.frame_id."""
    return JointState(
        header=header(stamp_ns, commander), name=list(joint_names), position=_doubles(positions_rad)
    )


def trajectory_msg(
    joint_names: Sequence[str],
    stamp_ns: int,
    positions_rad: Iterable[FloatArray],
    from_start_ns: Iterable[int],
) -> JointTrajectory:
    """Positions (points, joints) rad, each due `from_start_ns` after the stamp; stamp 0: after its arrival."""
    points = [
        JointTrajectoryPoint(positions=_doubles(row), time_from_start=duration_msg(after_ns))
        for row, after_ns in zip(positions_rad, from_start_ns, strict=True)
    ]
    return JointTrajectory(header=header(stamp_ns), joint_names=list(joint_names), points=points)


def position_array_msg(positions_rad: FloatArray) -> Float64MultiArray:
    """Positions (joints,) rad for forward_command_controller."""
    return Float64MultiArray(data=_doubles(positions_rad))


def action_chunk_msg(chunk: ActionChunk, stamp_ns: int) -> msg.ActionChunk:
    return msg.ActionChunk(
        header=header(stamp_ns),
        observation_stamp=time_msg(chunk.observation_stamp_ns),
        chunk_id=chunk.chunk_id,
        request_id=chunk.request_id,
        task=chunk.task,
        policy=chunk.policy,
        joint_names=list(chunk.joint_names),
        step_duration=duration_msg(chunk.step_duration_ns),
        positions=_doubles(chunk.positions),
        inference_duration=seconds_msg(chunk.inference_duration_s),
        expires=time_msg(chunk.expires_ns),
    )


def chunk_request_msg(request: ChunkRequest) -> msg.ChunkRequest:
    return msg.ChunkRequest(
        header=header(request.stamp_ns),
        request_id=request.request_id,
        task=request.task,
        reason=int(request.reason),
        queue_duration=seconds_msg(request.queue_duration_s),
        joint_names=list(request.joint_names),
        prefix=_doubles(request.prefix),
        prefix_stamp=time_msg(request.prefix_stamp_ns),
        expected_delay=seconds_msg(request.expected_delay_s),
    )


def executor_state_msg(
    status: ExecutorStatus, joint_names: Sequence[str], stamp_ns: int
) -> msg.ExecutorState:
    return msg.ExecutorState(
        header=header(stamp_ns),
        state=int(status.state),
        reason=status.reason,
        task=status.task,
        queue_length=status.queue_length,
        queue_duration=seconds_msg(status.queue_duration_s),
        chunk_ids=list(status.chunk_ids),
        chunk_duration=seconds_msg(status.chunk_duration_s),
        threshold=status.threshold,
        trigger=status.trigger,
        fusion=status.fusion,
        joint_states_age=status.joint_states_age_s,
        chunk_age=status.chunk_age_s,
        inference_latency_p50=status.inference_latency_p50_s,
        inference_latency_p95=status.inference_latency_p95_s,
        request_latency_p50=status.request_latency_p50_s,
        request_latency_p95=status.request_latency_p95_s,
        following_error=status.following_error_rad,
        commands=status.commands,
        requests=status.requests,
        timeouts=status.timeouts,
        chunks_accepted=status.chunks_accepted,
        rejected_reasons=list(status.rejected),
        rejected_counts=list(status.rejected.values()),
        starved_periods=status.starved_periods,
        joint_names=list(joint_names),
        clamps=list(status.clamps),
    )


def task_progress_msg(progress: Progress | None, reason: str, successes: int, tasks: int) -> msg.TaskProgress:
    """Without a header. `reason`: why there is no progress of a task."""
    message = msg.TaskProgress(reason=reason, success_time=math.nan, successes=successes, tasks=tasks)
    if progress is not None:
        message.task = progress.task.instruction
        message.elapsed = progress.time_s
        message.score = progress.score
        message.success = progress.is_success
        message.success_time = math.nan if progress.success_s is None else progress.success_s
        message.wrong_object = progress.wrong_object or ""
        message.dropped = progress.was_dropped
        message.stuck = progress.is_stuck
        message.hit_table = progress.hit_table
    return message


def servo_states_msg(joint_names: Sequence[str], stamp_ns: int, reading: ArmReading) -> msg.ServoStates:
    return msg.ServoStates(
        header=header(stamp_ns),
        name=list(joint_names),
        position_ticks=reading.position_ticks.tolist(),
        temperature=reading.temperature_c.tolist(),
        voltage=reading.voltage_v.tolist(),
        current=reading.current_a.tolist(),
        load=reading.load.tolist(),
        error_bits=reading.error_bits.tolist(),
        retries=reading.retries.tolist(),
        communication_errors=reading.communication_errors.tolist(),
    )


def _doubles(values: FloatArray) -> array.array[float]:
    return array.array("d", np.ascontiguousarray(values, np.float64).tobytes())
