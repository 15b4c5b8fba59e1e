# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of all topics: name, type and quality of service.

Drivers publish reliably, consumers subscribe with best effort, which matches both (REP-2003). The subscription to
`task` is volatile, because `ros2 topic pub` is, and a transient-local subscription would not match it. The executor
publishes the task that it has accepted on `active_task`, latched.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

import smolvla_ros.msg as msg


def _qos(depth: int, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability
    )


RELIABLE = _qos(10, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
SENSOR = _qos(5, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
NEWEST = _qos(1, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
LATCHED = _qos(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class Topic:
    """A topic with its publisher's and its subscribers' quality of service."""

    name: str
    type: Any
    publish: QoSProfile
    subscribe: QoSProfile


IMAGE_RAW = Topic("image_raw", Image, RELIABLE, SENSOR)
IMAGE_COMPRESSED = Topic("image_raw/compressed", CompressedImage, RELIABLE, SENSOR)
CAMERA_INFO = Topic("camera_info", CameraInfo, RELIABLE, SENSOR)
JOINT_STATES = Topic("joint_states", JointState, RELIABLE, SENSOR)
LEADER_JOINT_STATES = Topic("leader/joint_states", JointState, RELIABLE, SENSOR)
SERVO_STATES = Topic("servo_states", msg.ServoStates, RELIABLE, SENSOR)
TASK = Topic("task", String, RELIABLE, RELIABLE)
ACTIVE_TASK = Topic("active_task", String, LATCHED, LATCHED)
CHUNK_REQUEST = Topic("chunk_request", msg.ChunkRequest, RELIABLE, RELIABLE)
ACTION_CHUNK = Topic("action_chunk", msg.ActionChunk, RELIABLE, RELIABLE)
JOINT_COMMANDS = Topic("joint_commands", JointState, RELIABLE, NEWEST)
OPERATOR_TARGETS = Topic("operator_targets", JointState, RELIABLE, NEWEST)
CONTROL_AUTHORITY = Topic("control_authority", String, LATCHED, LATCHED)
REFUSED_COMMANDER = Topic("refused_commander", KeyValue, RELIABLE, RELIABLE)
JOINT_TRAJECTORY = Topic("joint_trajectory", JointTrajectory, RELIABLE, RELIABLE)
POSITION_COMMANDS = Topic("position_commands", Float64MultiArray, RELIABLE, NEWEST)
EXECUTOR_PLAN = Topic("executor/plan", JointTrajectory, RELIABLE, RELIABLE)
EXECUTOR_STATE = Topic("executor/state", msg.ExecutorState, RELIABLE, RELIABLE)
SCENE_OBJECTS = Topic("scene/objects", MarkerArray, RELIABLE, NEWEST)
WORLD_STATE = Topic("scene/state", msg.WorldState, RELIABLE, NEWEST)
TASK_PROGRESS = Topic("scene/task_progress", msg.TaskProgress, RELIABLE, RELIABLE)
DIAGNOSTICS = Topic("/diagnostics", DiagnosticArray, RELIABLE, RELIABLE)


def message_class(msgtype: str) -> Any:
    """sensor_msgs/msg/Image -> its class; raises ImportError or AttributeError if it is not installed."""
    module, _, name = msgtype.replace("/", ".").rpartition(".")
    return getattr(import_module(module), name)
