# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo records of one run: stamps, joint positions, chunks and executor states.

Messages are read by field name (wire.py) and all times are header stamps, so this is tested without ROS, and a delay
of the observer does not change the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.wire import WireError, header_stamp_ns, joints_from_msg, nanoseconds


@dataclass(frozen=True)
class ChunkRecord:
    """One ActionChunk as it was published."""

    published_ns: int
    inference_s: float
    policy: str


class JointTrace:
    """Joint positions over time."""

    def __init__(self, joints: int) -> None:
        self._joints = joints
        self.stamps_ns: list[int] = []
        self._positions_rad: list[FloatArray] = []

    def add(self, stamp_ns: int, positions_rad: FloatArray) -> None:
        self.stamps_ns.append(stamp_ns)
        self._positions_rad.append(positions_rad)

    @property
    def last_rad(self) -> FloatArray:
        """Shape (joints,); NaN before the first sample."""
        return self._positions_rad[-1] if self._positions_rad else np.full(self._joints, np.nan)

    @property
    def positions_rad(self) -> FloatArray:
        """Shape (samples, joints)."""
        return np.array(self._positions_rad, np.float64).reshape(-1, self._joints)


class ObservedRun:
    """All messages since it was created. `camera_rates_hz`: camera -> nominal images per second."""

    def __init__(self, joint_names: tuple[str, ...], camera_rates_hz: Mapping[str, float]) -> None:
        self.joint_names = joint_names
        self.camera_rates_hz = dict(camera_rates_hz)
        self.measured = JointTrace(len(joint_names))
        self.commanded = JointTrace(len(joint_names))
        self.chunks: list[ChunkRecord] = []
        self.image_stamps_ns: dict[str, list[int]] = {name: [] for name in camera_rates_hz}
        self.first_state: Any = None
        self.task_progress: Any = None  # the newest TaskProgress, of a simulated world
        self.tasks: dict[int, Any] = {}  # the newest TaskProgress of each task that the world understood
        self.state: Any = None  # the newest ExecutorState

    def add_joint_state(self, message: Any) -> None:
        """A message without all joints, which the arm node sends while a servo does not answer, is ignored."""
        with suppress(WireError):
            joints = joints_from_msg(message, self.joint_names)
            self.measured.add(joints.stamp_ns, joints.positions_rad)

    def add_command(self, message: Any) -> None:
        joints = joints_from_msg(message, self.joint_names)
        self.commanded.add(joints.stamp_ns, joints.positions_rad)

    def add_chunk(self, message: Any) -> None:
        inference_s = nanoseconds(message.inference_duration) / NANOSECONDS
        self.chunks.append(ChunkRecord(header_stamp_ns(message), inference_s, str(message.policy)))

    def add_image(self, camera: str, stamp_ns: int) -> None:
        self.image_stamps_ns[camera].append(stamp_ns)

    def add_task_progress(self, message: Any) -> None:
        self.task_progress = message
        if message.task:
            self.tasks[int(message.tasks)] = message

    def add_state(self, message: Any) -> None:
        self.state = message
        if self.first_state is None:
            self.first_state = message
