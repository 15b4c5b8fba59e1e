# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An ExecutorState without ROS: wire.py and the status views read fields by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from smolvla_ros.execution.arming import ArmingState

SECOND = 1_000_000_000


def time_msg(stamp_ns: int) -> Any:
    """builtin_interfaces Time or Duration."""
    return SimpleNamespace(sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)


def executor_state(**values: Any) -> Any:
    fields: dict[str, Any] = {
        "state": ArmingState.ARMED,
        "reason": "",
        "task": "wave",
        "queue_length": 30,
        "queue_duration": time_msg(SECOND),
        "chunk_duration": time_msg(2 * SECOND),
        "chunk_ids": [7, 8],
        "threshold": 0.7,
        "trigger": "auto",
        "fusion": "linear_blend",
        "joint_states_age": 0.5,
        "chunk_age": 0.25,
        "following_error": 0.02,
        "inference_latency_p50": 0.2,
        "inference_latency_p95": 0.3,
        "request_latency_p50": 0.25,
        "request_latency_p95": 0.35,
        "commands": 1000,
        "requests": 45,
        "timeouts": 2,
        "chunks_accepted": 41,
        "rejected_reasons": ["expired", "duplicate"],
        "rejected_counts": [3, 1],
        "starved_periods": 12,
        "joint_names": ["shoulder_pan", "gripper"],
        "clamps": [5, 0],
    }
    return SimpleNamespace(**{**fields, **values})
