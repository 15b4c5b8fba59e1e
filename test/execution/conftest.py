# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot of the package, chunks for it, and an executor on a clock of the test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pytest

from smolvla_ros.arrays import FloatArray
from smolvla_ros.chunk import ActionChunk, ChunkError, ChunkRequest
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.execution.chunk_executor import ChunkExecutor
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.executor_status import Command
from smolvla_ros.robot import Joints, RobotSpec

from ..package_files import ROBOT

SECOND = 1_000_000_000
PERIOD_S = 1.0 / 30.0
CONFIG = ExecutorConfig(mode="armed", max_step_rad=0.05, soft_start_s=0.5)
TASK = "pick"


class MakeChunk(Protocol):
    """`make_chunk(start_s, positions, **fields)`: a chunk of 0.1 s steps observed at `start_s`."""

    def __call__(self, start_s: float, positions: Any, **fields: Any) -> ActionChunk: ...


@pytest.fixture(scope="session")
def robot() -> RobotSpec:
    return ROBOT


@pytest.fixture(scope="session")
def make_chunk(robot: RobotSpec) -> MakeChunk:
    def make(start_s: float, positions: Any, **fields: Any) -> ActionChunk:
        """`positions`: (steps, joints), or (steps,) for all joints alike."""
        rows = np.asarray(positions, np.float64)
        if rows.ndim == 1:
            rows = np.tile(rows[:, None], (1, len(robot.joints)))
        values: dict[str, Any] = {
            "positions": rows,
            "joint_names": robot.joint_names,
            "observation_stamp_ns": round(start_s * 1e9),
            "step_duration_ns": 100_000_000,
            "chunk_id": 1,
            "request_id": 0,
            "task": "pick",
        }
        return ActionChunk(**{**values, **fields})

    return make


class Bench:
    """An executor at 30 Hz with an arm that reaches each command at once; only `run` advances the time."""

    def __init__(self, robot: RobotSpec, task: str = TASK, **settings: Any) -> None:
        self.robot = robot
        self.executor = ChunkExecutor(dataclasses.replace(CONFIG, **settings), robot)
        self.now_ns = 1_000 * SECOND
        self.middle = np.array([joint.middle_rad for joint in robot.joints])
        self.pose = self.middle.copy()
        self.stuck_rad = np.zeros(len(robot.joints))  # how far the arm stays behind its command
        self.joint_states_come = True
        self.observed_ns = 0  # observation stamp of the last accepted chunk
        self.answered_id = 0  # the last request that a chunk was accepted for
        self.commands: list[Command] = []
        self.requests: list[ChunkRequest] = []
        self.executor.set_task(task, self.now_ns)

    @property
    def state(self) -> ArmingState:
        return self.executor.status(self.now_ns).state

    @property
    def reason(self) -> str:
        return self.executor.status(self.now_ns).reason

    def reconfigure(self, **settings: Any) -> None:
        self.executor.reconfigure(dataclasses.replace(CONFIG, **settings))

    def measure(self) -> None:
        joints = Joints(self.now_ns, self.pose.copy(), np.zeros(6), np.zeros(6))
        self.executor.update_joints(joints)

    def run(self, seconds: float = PERIOD_S) -> None:
        for _ in range(round(seconds / PERIOD_S)):
            self.now_ns += round(PERIOD_S * SECOND)
            if self.joint_states_come:
                self.measure()
            command = self.executor.step(self.now_ns)
            if command is not None:
                self.commands.append(command)
                self.pose = command.positions_rad - self.stuck_rad
            request = self.executor.request(self.now_ns)
            if request is not None:
                self.requests.append(request)

    @property
    def open_request_id(self) -> int:
        """The request that waits for its answer; 0 for none."""
        newest_id = self.requests[-1].request_id if self.requests else 0
        return newest_id if newest_id > self.answered_id else 0

    def chunk(self, pan_speed: float = 0.5, age_s: float = 0.05, **fields: Any) -> ActionChunk:
        """Two seconds of shoulder_pan moving at `pan_speed` rad/s from the middle."""
        times_s = np.arange(61) * PERIOD_S
        values: dict[str, Any] = {
            "positions": self.middle + pan_speed * times_s[:, None] * np.eye(6)[0],
            "joint_names": self.robot.joint_names,
            "observation_stamp_ns": self.now_ns - round(age_s * SECOND),
            "step_duration_ns": round(PERIOD_S * SECOND),
            "chunk_id": 1,
            "request_id": self.open_request_id,
            "task": TASK,
        }
        return ActionChunk(**{**values, **fields})

    def accept(self, *arguments: Any, **fields: Any) -> None:
        chunk = self.chunk(*arguments, **fields)
        self.executor.accept(chunk, self.now_ns)
        self.observed_ns = chunk.observation_stamp_ns
        self.answered_id = chunk.request_id or self.answered_id

    def refusal(self, **fields: Any) -> str:
        with pytest.raises(ChunkError) as caught:
            self.accept(**fields)
        return caught.value.reason

    def move(self) -> None:
        """Armed, and under way along a chunk."""
        self.run(0.1)
        self.accept()
        self.run(0.8)
        assert self.state is ArmingState.ARMED

    def pan(self) -> FloatArray:
        return np.array([command.positions_rad[0] for command in self.commands])


@pytest.fixture(scope="session")
def make_bench(robot: RobotSpec) -> Callable[..., Bench]:
    return lambda **settings: Bench(robot, **settings)


@pytest.fixture
def bench(robot: RobotSpec) -> Bench:
    return Bench(robot)
