# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped robot, and chunks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from smolvla_ros.chunk import ActionChunk
from smolvla_ros.robot import RobotSpec

ROOT = Path(__file__).parents[2]


class MakeChunk(Protocol):
    """`make_chunk(start_s, positions, **fields)`: a chunk of 0.1 s steps observed at `start_s`."""

    def __call__(self, start_s: float, positions: Any, **fields: Any) -> ActionChunk: ...


@pytest.fixture(scope="session")
def robot() -> RobotSpec:
    return RobotSpec.load(ROOT / "config" / "so100.yaml")


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
