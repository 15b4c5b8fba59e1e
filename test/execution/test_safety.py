# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No command is unsafe, whatever is asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolvla_ros.execution.safety import SafetyError, SafetyLimiter
from smolvla_ros.execution.trajectory import FloatArray
from smolvla_ros.robot import RobotSpec

JOINTS = 6
EPSILON = 1e-6
PERIOD_S = 1.0 / 30.0


@pytest.fixture(scope="session")
def limiter(robot: RobotSpec) -> SafetyLimiter:
    return SafetyLimiter(robot, 0.05, PERIOD_S)


def middle(robot: RobotSpec) -> FloatArray:
    return np.array([joint.middle_rad for joint in robot.joints])


@pytest.mark.parametrize("joint", range(JOINTS))
@pytest.mark.parametrize(("side", "inward"), [("lower_rad", 1.0), ("upper_rad", -1.0)])
def test_each_position_limit_is_met_exactly(
    robot: RobotSpec, limiter: SafetyLimiter, joint: int, side: str, inward: float
) -> None:
    edge = getattr(robot, side)[joint]
    last = middle(robot)
    last[joint] = edge + inward * 0.01
    for asked, commanded in [
        (edge + inward * EPSILON, edge + inward * EPSILON),
        (edge, edge),
        (edge - inward * EPSILON, edge),
        (edge - inward * 100.0, edge),
    ]:
        target = last.copy()
        target[joint] = asked
        command = limiter.limit(target, last)
        assert command.positions_rad[joint] == commanded
        assert command.by_position[joint] == (asked != commanded)
        assert not command.by_step.any()


@pytest.mark.parametrize("joint", range(JOINTS))
@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_each_step_limit_is_met_exactly(
    robot: RobotSpec, limiter: SafetyLimiter, joint: int, direction: float
) -> None:
    last = middle(robot)
    for asked, commanded in [(0.05 - EPSILON, 0.05 - EPSILON), (0.05 + EPSILON, 0.05), (0.7, 0.05)]:
        target = last.copy()
        target[joint] += direction * asked
        command = limiter.limit(target, last)
        assert command.positions_rad[joint] - last[joint] == pytest.approx(direction * commanded, abs=1e-12)
        assert command.by_step[joint] == (asked != commanded)
        assert np.delete(command.positions_rad == last, joint).all()


def test_the_urdfs_speed_limits_a_generous_step(robot: RobotSpec) -> None:
    step = SafetyLimiter(robot, 1.0, PERIOD_S).step_rad
    np.testing.assert_allclose(step, robot.max_speed_rad_s * PERIOD_S)


def test_a_soft_start_shrinks_the_step(robot: RobotSpec, limiter: SafetyLimiter) -> None:
    last = middle(robot)
    moved = limiter.limit(last + 0.3, last, scale=0.1).positions_rad - last
    np.testing.assert_allclose(moved, 0.005)


@pytest.mark.parametrize("asked", [-9.0, -0.5, 0.0, 0.5, 9.0])
def test_from_outside_its_limits_a_joint_only_moves_inward(
    robot: RobotSpec, limiter: SafetyLimiter, asked: float
) -> None:
    last = robot.upper_rad + 0.2
    positions = limiter.limit(last + asked, last).positions_rad
    np.testing.assert_allclose(positions, last - 0.05)


def test_what_is_clamped_says_by_what(robot: RobotSpec, limiter: SafetyLimiter) -> None:
    last = middle(robot)
    target = last.copy()
    target[0] += 0.06
    target[1] = 99.0
    command = limiter.limit(target, last)
    assert command.by_step.tolist() == [True, True, False, False, False, False]
    assert command.by_position.tolist() == [False, True, False, False, False, False]
    assert command.clamped.tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_position_that_is_no_number_is_named(
    robot: RobotSpec, limiter: SafetyLimiter, number: float
) -> None:
    bad = middle(robot)
    bad[2] = number
    with pytest.raises(SafetyError, match="target of elbow_flex is (nan|inf|-inf)"):
        limiter.limit(bad, middle(robot))
    with pytest.raises(SafetyError, match="last command of elbow_flex"):
        limiter.limit(middle(robot), bad)


@given(
    target=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=JOINTS, max_size=JOINTS),
    share=st.floats(0.0, 1.0),
    scale=st.floats(0.0, 1.0),
)
def test_any_target_gives_a_command_within_limits_and_step(
    robot: RobotSpec, limiter: SafetyLimiter, target: list[float], share: float, scale: float
) -> None:
    last = (1.0 - share) * robot.lower_rad + share * robot.upper_rad
    last = np.clip(last, robot.lower_rad, robot.upper_rad)  # rounding may lead out by a hair
    positions = limiter.limit(np.array(target), last, scale).positions_rad
    assert (positions >= robot.lower_rad).all() and (positions <= robot.upper_rad).all()
    assert (np.abs(positions - last) <= scale * 0.05 + 1e-12).all()
