# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of the executor: a command per control period, and its status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smolvla_ros.arrays import FloatArray
from smolvla_ros.execution.arming import ArmingState


@dataclass(frozen=True, eq=False)
class Command:
    """Goals of all joints: (joints,) rad in the robot's order."""

    stamp_ns: int
    positions_rad: FloatArray


@dataclass(frozen=True)
class PolicyStatus:
    """The fields of ExecutorState.msg about the policy. Ages and latencies: NaN while there is none."""

    task: str
    queue_length: int
    queue_duration_s: float
    chunk_ids: tuple[int, ...]
    chunk_duration_s: float  # of the newest chunk; 0 before the first
    threshold: float  # share of it
    trigger: str
    fusion: str
    chunk_age_s: float
    inference_latency_p50_s: float
    inference_latency_p95_s: float
    request_latency_p50_s: float
    request_latency_p95_s: float
    requests: int
    timeouts: int  # of requests
    chunks_accepted: int
    rejected: Mapping[str, int]  # reason -> chunks
    starved_periods: int


@dataclass(frozen=True)
class ExecutorStatus(PolicyStatus):
    """The fields of ExecutorState.msg."""

    state: ArmingState
    reason: str
    joint_states_age_s: float
    following_error_rad: float  # of the joint furthest from its command, grippers left out; NaN: none is sent
    commands: int
    clamps: tuple[int, ...]  # per joint
