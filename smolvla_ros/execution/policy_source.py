# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets from a policy: the chunks that are accepted, the plan made of them, and the requests for the next ones."""

from __future__ import annotations

import math

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.chunk import ActionChunk, ChunkError, ChunkRequest
from smolvla_ros.execution.action_queue import ActionQueue
from smolvla_ros.execution.chunk_admission import ChunkAdmission
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.executor_status import PolicyStatus
from smolvla_ros.execution.fusion import FUSIONS, TASK_CHANGE_FUSIONS
from smolvla_ros.execution.latency import LatencyWindow
from smolvla_ros.execution.trajectory import Trajectory
from smolvla_ros.execution.trigger import ChunkTrigger
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec


class PolicySource:
    """The plan of one robot. In each control period call `target` or `hold`."""

    def __init__(self, config: ExecutorConfig, robot: RobotSpec) -> None:
        self.task = ""
        self._config = config
        self._joint_names = robot.joint_names
        self._admission = ChunkAdmission(robot.joint_names)
        self._trigger = ChunkTrigger(config)
        self._inference = LatencyWindow()
        self._starved_periods = 0
        self.forget_plan()

    def reconfigure(self, config: ExecutorConfig) -> None:
        """Use other settings."""
        self._config = self._trigger.config = config
        self._queue.fusion, self._queue.settings = FUSIONS[config.fusion], config

    def begin(self, now_ns: int) -> None:
        """From now on, reject chunks that were observed or requested before."""
        self._admission.begin(now_ns, self._trigger.requests)

    def forget_plan(self) -> None:
        """Start without a plan."""
        self._queue = ActionQueue(FUSIONS[self._config.fusion], self._config)
        self._trigger.start_over()
        self._admission.start_over()

    def set_task(self, task: str) -> None:
        """Set another task; `on_task_change` decides what happens to the old plan."""
        self.task = task
        if task and self._config.on_task_change != "flush":
            self._queue.join_next_chunk_with(TASK_CHANGE_FUSIONS[self._config.on_task_change])
        else:
            self._queue.clear()
        self._trigger.change_task()
        self._admission.start_over()

    def accept(self, chunk: ActionChunk, now_ns: int, refusal: str) -> None:
        """Add a chunk to the plan; raises ChunkError, counted by its reason, if it is rejected.

        `refusal`: why no chunk is accepted now; empty if one may be.
        """
        try:
            held_ns = self._queue.held_ns(chunk.observation_stamp_ns, now_ns)
            self._admission.check(chunk, now_ns, refusal, self.task, self._config, held_ns)
            self._trigger.check(chunk)
            self._queue.merge(chunk, now_ns)
        except ChunkError as error:
            self.reject(error.reason, chunk.request_id, now_ns)
            raise
        self._admission.accept(chunk)
        self._inference.add(chunk.inference_duration_s)
        self._trigger.accept(chunk, now_ns)

    def reject(self, reason: str, request_id: int, now_ns: int) -> None:
        """Count a rejected chunk; if its request is pending, request again."""
        self._admission.reject(reason)
        self._trigger.reject(request_id, now_ns)

    def policy_changed(self) -> None:
        """Another policy has subscribed: a pending request went to the one before."""
        self._trigger.policy_changed()

    def target(self, now_ns: int) -> tuple[FloatArray | None, str]:
        """The positions (joints,) rad that are due now, or None and why there are none."""
        if not self.task:
            return None, "no task"
        target = self._queue.take(now_ns)
        if target is not None:
            return target, ""
        if self._trigger.waits_for_first_chunk:
            return None, f"no chunk yet for '{self.task}'"
        self._starved_periods += 1
        return None, "the last chunk is used up and no other has come"

    def hold(self, now_ns: int) -> None:
        """The arm is held: the plan waits."""
        self._queue.hold(now_ns)

    def request(self, now_ns: int, joints: Joints) -> ChunkRequest | None:
        """The chunk request to send now, if any; it counts as sent."""
        if not self.task:
            return None
        remaining_ns = self._queue.remaining_ns(now_ns)
        reason = self._trigger.reason_to_request(now_ns, remaining_ns, joints.positions_rad)
        if reason is None:
            return None
        rest = self._queue.remaining(now_ns)
        return ChunkRequest(
            stamp_ns=now_ns,
            request_id=self._trigger.add_request(now_ns, joints.positions_rad),
            task=self.task,
            reason=reason,
            queue_duration_s=remaining_ns / NANOSECONDS,
            joint_names=self._joint_names,
            prefix=np.zeros((0, len(self._joint_names))) if rest is None else rest.positions,
            prefix_stamp_ns=0 if rest is None else rest.start_ns,
            expected_delay_s=self._trigger.expected_delay_s,
        )

    def plan(self, now_ns: int) -> Trajectory | None:
        """The remaining plan, before limits are applied."""
        return self._queue.remaining(now_ns)

    def status(self, now_ns: int) -> PolicyStatus:
        """The part of the executor's status that is about the policy."""
        observed_ns = self._admission.observed_ns
        return PolicyStatus(
            task=self.task,
            queue_length=self._queue.length(now_ns),
            queue_duration_s=self._queue.remaining_ns(now_ns) / NANOSECONDS,
            chunk_ids=self._queue.chunk_ids(now_ns),
            chunk_duration_s=self._trigger.chunk_duration_s,
            threshold=self._trigger.threshold,
            trigger=self._config.trigger,
            fusion=self._config.fusion,
            chunk_age_s=math.nan if observed_ns is None else (now_ns - observed_ns) / NANOSECONDS,
            inference_latency_p50_s=self._inference.percentile(50.0),
            inference_latency_p95_s=self._inference.percentile(95.0),
            request_latency_p50_s=self._trigger.latencies.percentile(50.0),
            request_latency_p95_s=self._trigger.latencies.percentile(95.0),
            requests=self._trigger.requests,
            timeouts=self._trigger.timeouts,
            chunks_accepted=self._admission.accepted,
            rejected=dict(self._admission.rejected),
            starved_periods=self._starved_periods,
        )
