# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arming, shadow, stop and fault of the executor, and its status."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.execution.chunk_executor import ChunkExecutor
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.settings import SettingError

SECOND = 1_000_000_000


def test_by_default_it_is_disarmed_and_sends_nothing(make_bench: Any) -> None:
    bench = make_bench(mode=ExecutorConfig().mode)
    bench.run(1.0)
    assert bench.state is ArmingState.DISARMED
    assert not bench.commands and not bench.requests
    assert bench.refusal() == "not_asked"


def test_shadow_plans_as_if_armed_and_sends_nothing(make_bench: Any) -> None:
    bench = make_bench(mode="shadow")
    bench.run(0.1)
    assert bench.state is ArmingState.SHADOW and "no chunk yet" in bench.reason
    bench.accept()
    bench.run(1.0)
    assert not bench.commands
    assert bench.executor.planned is not None
    assert bench.executor.planned[0] == pytest.approx(0.5 * 1.0, abs=1e-6)
    assert bench.executor.arm(bench.now_ns).ok
    bench.run()
    assert bench.commands[0].positions_rad[0] == 0.0


@pytest.mark.parametrize("moves", [True, False])
def test_it_stops_sending_to_an_arm_that_rejects_commands(make_bench: Any, moves: bool) -> None:
    bench = make_bench(mode="armed")
    if moves:
        bench.run(0.1)
        bench.accept()
    bench.run(0.5)
    bench.executor.commands_refused("torque is off")
    sent = len(bench.commands)
    bench.run(0.5)
    assert bench.state is ArmingState.FAULT and len(bench.commands) == sent
    assert bench.reason == "the arm does not obey: torque is off; reset and arm again"
    assert bench.executor.reset().ok
    bench.executor.commands_refused("torque is off")  # no effect: the executor sends no commands
    assert bench.state is ArmingState.DISARMED


def test_it_cannot_be_armed_without_fresh_joint_states(robot: RobotSpec) -> None:
    executor = ChunkExecutor(ExecutorConfig(), robot)
    assert "no joint states yet" in executor.arm(SECOND).message
    executor.update_joints(Joints(SECOND, robot.lower_rad, np.zeros(6)))
    assert "1.00 s old" in executor.arm(2 * SECOND).message
    assert "0.50 s in the future" in executor.arm(SECOND // 2).message
    assert executor.status(SECOND).state is ArmingState.DISARMED
    assert executor.arm(SECOND).ok


@pytest.mark.parametrize(
    ("position_rad", "armed"), [(0.19, True), (0.21, False), (-3.33, True), (-3.35, False), (math.nan, False)]
)
def test_it_cannot_be_armed_far_outside_the_limits(make_bench: Any, position_rad: float, armed: bool) -> None:
    bench = make_bench(mode="disarmed")
    bench.pose[2] = position_rad  # the elbow's limits are -3.14158 .. 0
    bench.measure()
    outcome = bench.executor.arm(bench.now_ns)
    assert outcome.ok == armed
    assert armed or "elbow_flex is at" in outcome.message


def test_armed_from_the_start_it_waits_for_joint_states(bench: Any) -> None:
    bench.joint_states_come = False
    bench.run(0.5)
    assert bench.state is ArmingState.DISARMED and "will arm: no joint states yet" in bench.reason
    bench.joint_states_come = True
    bench.run()
    assert bench.state is ArmingState.HOLDING


@pytest.mark.parametrize("change_of_mind", ["disarm", "stop"])
def test_armed_from_the_start_it_can_still_be_held_back(bench: Any, change_of_mind: str) -> None:
    bench.joint_states_come = False
    bench.run(0.1)
    if change_of_mind == "disarm":
        assert bench.executor.disarm().ok
    else:
        assert bench.executor.stop("wait").ok
    bench.joint_states_come = True
    bench.run(0.5)
    assert not bench.commands


def test_armed_from_the_start_in_a_bad_pose_it_stays_disarmed(bench: Any) -> None:
    bench.pose = bench.robot.upper_rad + 0.5
    bench.run(0.1)
    bench.pose = bench.middle
    bench.run(0.1)
    assert bench.state is ArmingState.DISARMED and "shoulder_pan is at 2.50 rad" in bench.reason


def test_a_stop_latches_until_reset_and_forgets_the_plan(bench: Any) -> None:
    bench.move()
    assert bench.executor.stop("operator").ok
    sent = len(bench.commands)
    bench.run(0.5)
    assert bench.state is ArmingState.STOPPED and bench.reason == "operator"
    assert len(bench.commands) == sent
    assert "reset first" in bench.executor.arm(bench.now_ns).message
    assert bench.executor.reset().ok and bench.executor.arm(bench.now_ns).ok
    bench.run(0.1)
    assert bench.state is ArmingState.HOLDING


@pytest.mark.parametrize("way_out", ["disarm", "shadow"])
def test_disarming_ends_the_commands_at_once(bench: Any, way_out: str) -> None:
    bench.move()
    outcome = bench.executor.disarm() if way_out == "disarm" else bench.executor.shadow(True, bench.now_ns)
    assert outcome.ok
    sent = len(bench.commands)
    bench.run(0.5)
    assert len(bench.commands) == sent
    assert bench.executor.status(bench.now_ns).queue_length == 0


def test_leaving_shadow_does_not_disarm_an_armed_arm(bench: Any) -> None:
    bench.move()
    outcome = bench.executor.shadow(False, bench.now_ns)
    assert not outcome.ok and "disarm instead" in outcome.message
    bench.run()
    assert bench.state is ArmingState.ARMED


def test_a_position_that_is_not_finite_is_a_fault(make_bench: Any) -> None:
    bench = make_bench(mode="shadow")
    bench.pose[3] = math.nan
    bench.run(0.1)
    bench.accept()
    bench.run()
    assert bench.state is ArmingState.FAULT and "wrist_flex is nan" in bench.reason
    bench.run(0.5)
    assert not bench.commands


def test_fusion_and_threshold_change_while_it_moves(bench: Any) -> None:
    bench.move()
    asked = len(bench.requests)
    bench.reconfigure(fusion="replace", threshold=1.0)
    bench.accept(pan_speed=0.4, chunk_id=9, age_s=0.0)
    assert bench.executor.status(bench.now_ns).chunk_ids == (9,)
    bench.run()
    assert len(bench.requests) == asked + 1
    assert bench.state is ArmingState.ARMED


def test_step_and_timeout_change_as_well(bench: Any) -> None:
    bench.move()
    asked = len(bench.requests)
    bench.reconfigure(max_step_rad=0.001, request_timeout_s=0.5)
    bench.run(1.0)
    assert np.abs(np.diff(bench.pan()))[-30:].max() == pytest.approx(0.001)
    assert len(bench.requests) == asked + 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "ready"),
        ("rate_hz", 0.0),
        ("fusion", "magic"),
        ("threshold", 1.1),
        ("request_timeout_s", 0.0),
        ("trigger", "always"),
        ("starvation_probability", 0.0),
        ("similar_rad", -0.1),
        ("max_step_rad", 0.0),
        ("max_acceleration_rad_s2", 0.0),
        ("max_following_error_rad", -1.0),
        ("following_error_s", math.inf),
        ("soft_start_s", -1.0),
        ("stale_after_s", math.inf),
        ("max_ahead_s", math.nan),
    ],
)
def test_a_bad_setting_is_named_with_its_value(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"{name}: .*{value}"):
        ExecutorConfig(**{name: value})


def test_status_tells_the_plan_its_ages_and_its_clamps(bench: Any) -> None:
    start = bench.executor.status(bench.now_ns)
    assert start.queue_length == 0 and start.chunk_ids == ()
    assert math.isnan(start.joint_states_age_s) and math.isnan(start.chunk_age_s)
    assert math.isnan(start.inference_latency_p50_s) and math.isnan(start.request_latency_p95_s)
    bench.run(0.1)
    bench.accept(pan_speed=9.0, chunk_id=4, inference_duration_s=0.25)
    bench.run(0.5)
    status = bench.executor.status(bench.now_ns + 10_000_000)
    assert status.chunk_ids == (4,)
    assert status.queue_length == 45 and status.queue_duration_s == pytest.approx(1.49, abs=1e-6)
    assert status.joint_states_age_s == pytest.approx(0.01)
    assert status.chunk_age_s == pytest.approx(0.56, abs=1e-6)
    assert status.inference_latency_p50_s == status.inference_latency_p95_s == 0.25
    assert status.commands == len(bench.commands) and status.chunks_accepted == 1
    assert status.requests == 1 and status.timeouts == 0
    assert status.chunk_duration_s == pytest.approx(2.0, abs=1e-6)
    assert (status.threshold, status.trigger, status.fusion) == (0.7, "threshold", ExecutorConfig().fusion)
    assert status.following_error_rad == pytest.approx(0.0, abs=0.06)
    assert status.clamps == (15, 0, 0, 0, 0, 0)
