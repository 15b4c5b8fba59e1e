# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands stay within all limits for any target."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smolvla_ros.arrays import FloatArray
from smolvla_ros.execution.safety import SafetyError, SafetyLimiter
from smolvla_ros.robot import RobotSpec

JOINTS = 6
EPSILON = 1e-6
PERIOD_S = 1.0 / 30.0


REST = np.zeros(JOINTS)
A_STEP = 20.0 * PERIOD_S**2


@pytest.fixture(scope="session")
def limiter(robot: RobotSpec) -> SafetyLimiter:
    """An acceleration limit so high that it has no effect."""
    return SafetyLimiter(robot, 0.05, 1e6, PERIOD_S)


@pytest.fixture(scope="session")
def smooth_limiter(robot: RobotSpec) -> SafetyLimiter:
    return SafetyLimiter(robot, 0.1, 20.0, PERIOD_S)


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
        command = limiter.limit(target, last, REST, None)
        assert command.positions_rad[joint] == commanded
        assert command.by_position[joint] == (asked != commanded)
        assert not command.by_step.any() and not command.by_acceleration.any()


@pytest.mark.parametrize("joint", range(JOINTS))
@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_each_step_limit_is_met_exactly(
    robot: RobotSpec, limiter: SafetyLimiter, joint: int, direction: float
) -> None:
    last = middle(robot)
    for asked, commanded in [(0.05 - EPSILON, 0.05 - EPSILON), (0.05 + EPSILON, 0.05), (0.7, 0.05)]:
        target = last.copy()
        target[joint] += direction * asked
        command = limiter.limit(target, last, REST, None)
        assert command.positions_rad[joint] - last[joint] == pytest.approx(direction * commanded, abs=1e-12)
        assert command.by_step[joint] == (asked != commanded)
        assert np.delete(command.positions_rad == last, joint).all()


def test_the_urdfs_speed_limits_a_generous_step(robot: RobotSpec) -> None:
    step = SafetyLimiter(robot, 1.0, 1e6, PERIOD_S).step_rad
    np.testing.assert_allclose(step, robot.max_speed_rad_s * PERIOD_S)


def test_a_soft_start_shrinks_the_step(robot: RobotSpec, limiter: SafetyLimiter) -> None:
    last = middle(robot)
    moved = limiter.limit(last + 0.3, last, REST, None, scale=0.1).positions_rad - last
    np.testing.assert_allclose(moved, 0.005)


@pytest.mark.parametrize("asked", [-9.0, -0.5, 0.0, 0.5, 9.0])
def test_from_outside_its_limits_a_joint_only_moves_inward(
    robot: RobotSpec, limiter: SafetyLimiter, asked: float
) -> None:
    last = robot.upper_rad + 0.2
    positions = limiter.limit(last + asked, last, REST, None).positions_rad
    np.testing.assert_allclose(positions, last - 0.05)


def test_each_limited_joint_has_its_cause(robot: RobotSpec, limiter: SafetyLimiter) -> None:
    last = middle(robot)
    target = last.copy()
    target[0] += 0.06
    target[1] = 99.0
    command = limiter.limit(target, last, REST, None)
    assert command.by_step.tolist() == [True, True, False, False, False, False]
    assert command.by_position.tolist() == [False, True, False, False, False, False]
    assert command.clamped.tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_position_that_is_not_finite_raises_with_the_joint(
    robot: RobotSpec, limiter: SafetyLimiter, number: float
) -> None:
    bad = middle(robot)
    bad[2] = number
    with pytest.raises(SafetyError, match="target of elbow_flex is (nan|inf|-inf)"):
        limiter.limit(bad, middle(robot), REST, None)
    with pytest.raises(SafetyError, match="last command of elbow_flex"):
        limiter.limit(middle(robot), bad, REST, None)


@given(
    target=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=JOINTS, max_size=JOINTS),
    share=st.floats(0.0, 1.0),
    scale=st.floats(0.0, 1.0),
)
def test_any_target_gives_a_command_within_limits_and_step(
    robot: RobotSpec, limiter: SafetyLimiter, target: list[float], share: float, scale: float
) -> None:
    last = (1.0 - share) * robot.lower_rad + share * robot.upper_rad
    last = np.clip(last, robot.lower_rad, robot.upper_rad)  # rounding may exceed the limit slightly
    positions = limiter.limit(np.array(target), last, REST, None, scale).positions_rad
    assert (positions >= robot.lower_rad).all() and (positions <= robot.upper_rad).all()
    assert (np.abs(positions - last) <= scale * 0.05 + 1e-12).all()


def test_the_robot_files_acceleration_counts_beside_the_general_one(robot: RobotSpec) -> None:
    slow = dataclasses.replace(robot.joints[0], max_acceleration_rad_s2=2.0)
    limiter = SafetyLimiter(dataclasses.replace(robot, joints=(slow, *robot.joints[1:])), 1.0, 20.0, PERIOD_S)
    np.testing.assert_allclose(limiter.acceleration_step_rad, np.array([2.0] + 5 * [20.0]) * PERIOD_S**2)


def follow(limiter: SafetyLimiter, start: FloatArray, targets: FloatArray, brake_for: int = 0) -> FloatArray:
    """The commands, (1 + targets + brake_for, joints), of an arm at rest at `start` that is to follow targets."""
    commands, step, last_target = [start], np.zeros(JOINTS), None
    for target in targets:
        commands.append(limiter.limit(target, commands[-1], step, last_target).positions_rad)
        step, last_target = commands[-1] - commands[-2], target
    for _ in range(brake_for):
        commands.append(limiter.brake(commands[-1], step))
        step = commands[-1] - commands[-2]
    return np.array(commands)


def test_a_far_target_is_reached_exactly_without_overshoot(
    robot: RobotSpec, smooth_limiter: SafetyLimiter
) -> None:
    start = middle(robot)
    pan = follow(smooth_limiter, start, np.tile(start + 1.0 * np.eye(6)[0], (40, 1)))[:, 0] - start[0]
    assert pan[-1] == pytest.approx(1.0) and pan.max() <= 1.0 + 1e-12
    steps = np.diff(pan, prepend=0.0)
    assert steps.max() == pytest.approx(0.1)
    assert np.abs(np.diff(steps)).max() <= A_STEP + 1e-12


def test_a_target_in_motion_is_caught_up_with_and_then_followed_without_lag(
    robot: RobotSpec, smooth_limiter: SafetyLimiter
) -> None:
    start = middle(robot)
    targets = start + (0.06 * np.arange(1, 31))[:, None] * np.eye(6)[0]
    commands = follow(smooth_limiter, start, targets)
    np.testing.assert_allclose(commands[-15:], targets[-15:], atol=1e-12)


def test_without_a_target_it_brakes_at_the_full_acceleration(
    robot: RobotSpec, smooth_limiter: SafetyLimiter
) -> None:
    start = middle(robot)
    commands = follow(smooth_limiter, start, np.tile(start + 9.0 * np.eye(6)[0], (8, 1)), brake_for=8)
    steps = np.diff(commands[:, 0])[7:]
    np.testing.assert_allclose(steps, np.maximum(steps[0] - A_STEP * np.arange(9), 0.0), atol=1e-12)
    assert steps[-1] == 0.0


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    amplitude=st.sampled_from([0.01, 0.3, 3.0, 1e307]),
    hold=st.integers(1, 12),
    share=st.floats(0.0, 1.0),
    brake_for=st.integers(0, 12),
)
def test_position_speed_and_acceleration_stay_within_limits_for_any_plan(
    robot: RobotSpec,
    smooth_limiter: SafetyLimiter,
    seed: int,
    amplitude: float,
    hold: int,
    share: float,
    brake_for: int,
) -> None:
    random = np.random.default_rng(seed)
    start = np.clip((1 - share) * robot.lower_rad + share * robot.upper_rad, robot.lower_rad, robot.upper_rad)
    targets = np.repeat(random.normal(start, amplitude, (12, JOINTS)), hold, axis=0)
    commands = follow(smooth_limiter, start, targets, brake_for)
    assert (commands >= robot.lower_rad).all() and (commands <= robot.upper_rad).all()
    steps = np.diff(commands, axis=0, prepend=commands[:1])
    assert np.abs(steps).max() <= 0.1 + 1e-9
    assert np.abs(np.diff(steps, axis=0)).max() <= A_STEP + 1e-9
    stopped = follow(smooth_limiter, start, targets, brake_for=60)
    assert (stopped[-1] == stopped[-2]).all()  # at rest, and nowhere beyond the limits
    assert (stopped >= robot.lower_rad).all() and (stopped <= robot.upper_rad).all()
