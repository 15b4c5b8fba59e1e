# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages as the demo hears them, without ROS: wire.py reads fields by name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smolvla_ros.demo.recording import Recording
from smolvla_ros.robot import RobotSpec

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000_000


def stamp(stamp_ns: int) -> Any:
    return SimpleNamespace(sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)


def joint_state(robot: RobotSpec, stamp_ns: int, position: list[float]) -> Any:
    header = SimpleNamespace(stamp=stamp(stamp_ns))
    return SimpleNamespace(header=header, name=robot.joint_names, position=position, velocity=[], effort=[])


def chunk(robot: RobotSpec, stamp_ns: int, chunk_id: int, inference_s: float) -> Any:
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp(stamp_ns)),
        chunk_id=chunk_id,
        positions=[0.0] * 50 * len(robot.joints),
        joint_names=robot.joint_names,
        inference_duration=stamp(round(inference_s * SECOND)),
        policy="tiny@0",
    )


def executor_state(**values: Any) -> Any:
    fields: dict[str, Any] = {
        "state": 2,
        "reason": "",
        "task": "wave",
        "queue_length": 40,
        "queue_duration": stamp(SECOND),
        "chunk_age": 0.25,
        "chunks_accepted": 0,
        "rejected_reasons": [],
        "rejected_counts": [],
        "starved_periods": 0,
    }
    return SimpleNamespace(**{**fields, **values})


@pytest.fixture
def robot() -> RobotSpec:
    return RobotSpec.load(ROOT / "config" / "so100.yaml")


@pytest.fixture
def recording(robot: RobotSpec) -> Recording:
    """Two seconds of a run: 50 Hz joints, 30 Hz commands, two cameras of which one lost three images."""
    recording = Recording(robot.joint_names, {"top": 30.0, "wrist": 30.0})
    for k in range(101):
        recording.add_joint_state(joint_state(robot, SECOND + k * SECOND // 50, [0.1 * k / 50] * 6))
    for k in range(61):
        recording.add_command(joint_state(robot, SECOND + k * SECOND // 30, [0.1 * k / 30] * 6))
        recording.add_image("top", SECOND + k * SECOND // 30)
        if k not in (10, 11, 40):
            recording.add_image("wrist", SECOND + k * SECOND // 30)
    for k in range(4):
        recording.add_chunk(chunk(robot, SECOND + k * SECOND // 2, k + 1, 0.2 + 0.1 * k))
    recording.add_state(executor_state(chunks_accepted=5, rejected_reasons=["expired"], rejected_counts=[2]))
    recording.add_state(
        executor_state(
            chunks_accepted=9,
            rejected_reasons=["expired", "not_finite"],
            rejected_counts=[2, 1],
            starved_periods=7,
        )
    )
    return recording
