# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our executor and LeRobot's asynchronous client with the same interface."""

from __future__ import annotations

from typing import Protocol

from simulated.task import TASK

from smolvla_ros.arrays import FloatArray
from smolvla_ros.chunk import ActionChunk, ChunkRequest, RequestReason
from smolvla_ros.execution.chunk_executor import ChunkExecutor
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.robot import Joints, RobotSpec


class Controller(Protocol):
    """In each control period: `accept` chunks that arrived, then `step`, then `request`."""

    @property
    def starved_periods(self) -> int: ...
    def accept(self, chunk: ActionChunk, now_ns: int) -> None: ...
    def step(self, now_ns: int, joints: Joints) -> FloatArray | None: ...
    def request(self, now_ns: int) -> ChunkRequest | None: ...


class OurExecutor:
    """The real ChunkExecutor, armed."""

    def __init__(self, robot: RobotSpec, config: ExecutorConfig) -> None:
        self._executor = ChunkExecutor(config, robot)
        self._executor.set_task(TASK, 0)

    @property
    def starved_periods(self) -> int:
        return self._executor.status(0).starved_periods

    def accept(self, chunk: ActionChunk, now_ns: int) -> None:
        self._executor.accept(chunk, now_ns)

    def step(self, now_ns: int, joints: Joints) -> FloatArray | None:
        self._executor.update_joints(joints)
        command = self._executor.step(now_ns)
        return None if command is None else command.positions_rad

    def request(self, now_ns: int) -> ChunkRequest | None:
        return self._executor.request(now_ns)


class LeRobotClient:
    """LeRobot 0.4.4, async_inference, aggregate function weighted_average.

    Actions have numbers instead of times. The first action of a chunk has the number of the action that was executed
    when its observation was made, so it always arrives too late. Numbers that were executed are dropped; for a number
    that is queued, 0.3 of the queued action and 0.7 of the new one are added; the other queued actions are dropped.
    One action is sent in each period, without limits; if the queue is empty, none is sent.
    """

    def __init__(self, robot: RobotSpec, threshold: float) -> None:
        self._joint_names = robot.joint_names
        self._threshold = threshold
        self._queue: dict[int, FloatArray] = {}
        self._executed = -1
        self._chunk_steps = 1
        self._requested_at: dict[int, int] = {}  # request id -> number of the action executed then
        self._in_flight = False
        self.starved_periods = 0

    def accept(self, chunk: ActionChunk, now_ns: int) -> None:
        first = self._requested_at[chunk.request_id]
        queue, self._queue = self._queue, {}
        for number, action in enumerate(chunk.positions, start=first):
            if number > self._executed:
                old = queue.get(number)
                self._queue[number] = action if old is None else 0.3 * old + 0.7 * action
        self._chunk_steps = len(chunk.positions)
        self._in_flight = False

    def step(self, now_ns: int, joints: Joints) -> FloatArray | None:
        if not self._queue:
            self.starved_periods += self._executed >= 0
            return None
        self._executed = min(self._queue)
        return self._queue.pop(self._executed)

    def request(self, now_ns: int) -> ChunkRequest | None:
        if self._in_flight or len(self._queue) > self._threshold * self._chunk_steps:
            return None
        self._in_flight = True
        request_id = len(self._requested_at) + 1
        self._requested_at[request_id] = max(self._executed, 0)
        return ChunkRequest(now_ns, request_id, TASK, RequestReason.THRESHOLD)
