# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo records of a run."""

from __future__ import annotations

import numpy as np
import pytest

from smolvla_ros.demo.observed_run import ObservedRun
from smolvla_ros.robot import RobotSpec

from .conftest import joint_state

SECOND = 1_000_000_000


def test_a_run_keeps_joints_in_the_order_of_the_robot(run: ObservedRun) -> None:
    assert run.measured.positions_rad.shape == (101, 6)
    assert run.commanded.positions_rad[-1] == pytest.approx(np.full(6, 0.2))
    assert [chunk.policy for chunk in run.chunks] == ["tiny@0"] * 4
    assert len(run.image_stamps_ns["wrist"]) == 58


def test_joint_states_that_lack_a_joint_are_ignored(run: ObservedRun, robot: RobotSpec) -> None:
    partial = joint_state(robot, 5 * SECOND, [0.0] * 6)
    partial.name, partial.position = partial.name[:-1], partial.position[:-1]
    run.add_joint_state(partial)
    assert run.measured.positions_rad.shape == (101, 6)
