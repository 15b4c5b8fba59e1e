# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that the demo receives, without ROS: wire.py reads fields by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from smolvla_ros.demo.observed_run import ObservedRun
from smolvla_ros.robot import RobotSpec

from ..executor_state import SECOND, executor_state, time_msg
from ..package_files import ROBOT


def joint_state(robot: RobotSpec, stamp_ns: int, position: list[float]) -> Any:
    header = SimpleNamespace(stamp=time_msg(stamp_ns))
    return SimpleNamespace(header=header, name=robot.joint_names, position=position, velocity=[], effort=[])


def chunk(robot: RobotSpec, stamp_ns: int, chunk_id: int, inference_s: float) -> Any:
    return SimpleNamespace(
        header=SimpleNamespace(stamp=time_msg(stamp_ns)),
        chunk_id=chunk_id,
        positions=[0.0] * 50 * len(robot.joints),
        joint_names=robot.joint_names,
        inference_duration=time_msg(round(inference_s * SECOND)),
        policy="tiny@0",
    )


@pytest.fixture
def robot() -> RobotSpec:
    return ROBOT


@pytest.fixture
def run(robot: RobotSpec) -> ObservedRun:
    """Two seconds of a run: 50 Hz joints, 30 Hz commands, two cameras of which one lost three images."""
    run = ObservedRun(robot.joint_names, {"top": 30.0, "wrist": 30.0})
    for k in range(101):
        run.add_joint_state(joint_state(robot, SECOND + k * SECOND // 50, [0.1 * k / 50] * 6))
    for k in range(61):
        run.add_command(joint_state(robot, SECOND + k * SECOND // 30, [0.1 * k / 30] * 6))
        run.add_image("top", SECOND + k * SECOND // 30)
        if k not in (10, 11, 40):
            run.add_image("wrist", SECOND + k * SECOND // 30)
    for k in range(4):
        run.add_chunk(chunk(robot, SECOND + k * SECOND // 2, k + 1, 0.2 + 0.1 * k))
    first = {"chunks_accepted": 5, "rejected_reasons": ["expired"], "rejected_counts": [2]}
    run.add_state(executor_state(**first, starved_periods=0))
    run.add_state(
        executor_state(
            queue_length=40,
            chunks_accepted=9,
            rejected_reasons=["expired", "not_finite"],
            rejected_counts=[2, 1],
            starved_periods=7,
        )
    )
    return run
