# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor follows chunks, and holds the arm with a reason on any problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smolvla_ros.chunk import ActionChunk, RequestReason
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.execution.fusion import FUSIONS
from smolvla_ros.robot import Joints

SECOND = 1_000_000_000
PERIOD_S = 1.0 / 30.0


def test_it_follows_a_chunk_by_its_clock(bench: Any) -> None:
    bench.move()
    assert bench.pan()[-1] == pytest.approx(0.5 * 0.8, abs=1e-6)
    bench.accept(age_s=0.7)
    bench.reconfigure(fusion="replace")
    bench.accept(age_s=0.6)
    bench.run(1.0)
    assert bench.pan()[-1] == pytest.approx(0.5 * (0.6 + 1.0), abs=1e-6)


def test_a_chunk_that_took_long_is_followed_from_its_first_action_by_an_arm_that_stood_still(
    bench: Any,
) -> None:
    bench.run(3.0)
    bench.accept(age_s=2.9)
    bench.run(0.8)
    assert bench.state is ArmingState.ARMED
    assert bench.pan()[-1] == pytest.approx(0.5 * 0.8, abs=1e-6)


def test_a_command_leaves_every_period_from_arming_on(bench: Any) -> None:
    bench.run(0.5)
    bench.accept()
    bench.run(4.0)
    stamps = np.array([command.stamp_ns for command in bench.commands])
    assert len(stamps) == 135
    assert (np.diff(stamps) == round(PERIOD_S * SECOND)).all()


def test_it_starts_from_the_measured_pose_and_softly(bench: Any) -> None:
    bench.pose = bench.middle + 0.1
    bench.run(0.1)
    np.testing.assert_array_equal(bench.commands[0].positions_rad, bench.middle + 0.1)
    bench.accept(pan_speed=0.0, positions=np.tile(bench.middle + [1.0, 0, 0, 0, 0, 0], (60, 1)))
    bench.run(1.0)
    steps = np.diff(bench.pan())
    first = np.flatnonzero(steps)[0]
    assert steps[first] == pytest.approx(0.1 * 0.05)
    assert steps[first + 5] == pytest.approx((0.1 + 0.9 * 5 * PERIOD_S / 0.5) * 0.05)
    assert steps.max() == pytest.approx(0.05)


def test_chunks_that_agree_are_followed_without_error(bench: Any) -> None:
    bench.run(0.1)
    start_ns = bench.now_ns
    for _ in range(20):
        times_s = (bench.now_ns - start_ns) / SECOND + np.arange(61) * PERIOD_S
        bench.accept(positions=bench.middle + 0.3 * np.sin(times_s)[:, None] * np.eye(6)[0], age_s=0.0)
        bench.run(0.4)
    due = 0.3 * np.sin([(command.stamp_ns - start_ns) / SECOND for command in bench.commands])
    assert np.abs(bench.pan() - due)[30:].max() < 1e-3


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_minute_with_random_latency_never_starves(make_bench: Any, fusion: str) -> None:
    random = np.random.default_rng(7)
    bench = make_bench(fusion=fusion)
    arrivals: list[tuple[int, ActionChunk]] = []
    for _ in range(60 * 30):
        asked = len(bench.requests)
        bench.run()
        for request in bench.requests[asked:]:
            arrival_ns = bench.now_ns + round(random.uniform(0.05, 0.9) * SECOND)
            times_s = bench.now_ns / SECOND + np.arange(61) * PERIOD_S
            sway = bench.middle + 0.2 * np.sin(times_s)[:, None] + random.normal(0.0, 0.01, 6)
            answer = bench.chunk(age_s=0.0, positions=sway, request_id=request.request_id)
            arrivals.append((arrival_ns, answer))
        while arrivals and arrivals[0][0] <= bench.now_ns:
            bench.executor.accept(arrivals.pop(0)[1], bench.now_ns)
    status = bench.executor.status(bench.now_ns)
    assert status.starved_periods == 0
    assert status.commands >= 60 * 30 - 1
    assert status.chunks_accepted > 40
    assert 0.3 < status.request_latency_p50_s < status.request_latency_p95_s < 0.95
    positions = np.array([command.positions_rad for command in bench.commands])
    assert np.abs(np.diff(positions, axis=0)).max() <= 0.05 + 1e-12
    due = bench.middle + 0.2 * np.sin([[command.stamp_ns / SECOND] for command in bench.commands])
    assert np.abs(positions - due)[120:].max() < 0.06


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_two_minutes_with_latencies_below_the_used_share_of_a_chunk_never_starve(
    make_bench: Any, threshold: float
) -> None:
    """Chunks of 2 s and `threshold` g: answers within (1 - g) x 2 s, and before what is left is used up."""
    random = np.random.default_rng(3)
    bench = make_bench(threshold=threshold, similar_rad=0.0)
    longest_s = min(1.0 - threshold, threshold) * 2.0 - 2 * PERIOD_S
    due: tuple[int, ActionChunk] | None = None
    answered = 0
    for _ in range(2 * 60 * 30):
        bench.run()
        if due and due[0] <= bench.now_ns:
            bench.executor.accept(due[1], bench.now_ns)
            due = None
        if len(bench.requests) > answered:
            answered = len(bench.requests)
            way = 0.2 * np.sin(bench.now_ns / SECOND + np.arange(61) * PERIOD_S)
            positions = bench.middle + way[:, None] + random.normal(0.0, 0.02, 6)
            latency_s = random.uniform(0.5, 1.0) * longest_s
            due = bench.now_ns + round(latency_s * SECOND), bench.chunk(age_s=0.0, positions=positions)
    status = bench.executor.status(bench.now_ns)
    assert status.starved_periods == 0
    assert status.chunks_accepted > 2 * 60 / 2.0 and not status.rejected


def test_it_holds_within_one_period_when_the_plan_is_used_up(bench: Any) -> None:
    bench.move()
    bench.run(3.0)
    assert bench.state is ArmingState.HOLDING
    assert "used up" in bench.reason and "holding for" in bench.reason
    end_ns = bench.observed_ns + round(0.05 * SECOND) + 60 * round(PERIOD_S * SECOND)  # it waited for 0.05 s
    after = [command for command in bench.commands if command.stamp_ns > end_ns]
    last = [command for command in bench.commands if command.stamp_ns <= end_ns][-1]
    assert len(after) > 30
    for command in after:
        np.testing.assert_array_equal(command.positions_rad, last.positions_rad)
    assert bench.executor.status(bench.now_ns).starved_periods == len(after)


def test_it_holds_within_one_period_when_joint_states_stop(bench: Any) -> None:
    bench.move()
    last_joints_ns = bench.now_ns
    bench.joint_states_come = False
    bench.run(0.5)
    assert bench.state is ArmingState.HOLDING
    assert "joint states are 0.50 s old" in bench.reason and "holding for 0.3 s" in bench.reason
    fresh = [command for command in bench.commands if command.stamp_ns - last_joints_ns <= 0.2 * SECOND]
    stale = bench.commands[len(fresh) :]
    assert len(stale) >= 9
    for command in stale:
        np.testing.assert_array_equal(command.positions_rad, fresh[-1].positions_rad)


def test_it_goes_on_softly_by_itself_when_joint_states_are_back(bench: Any) -> None:
    bench.move()
    bench.joint_states_come = False
    bench.run(0.5)
    held = len(bench.commands)
    bench.joint_states_come = True
    bench.run()
    assert bench.state is ArmingState.ARMED
    assert bench.pan()[held] - bench.pan()[held - 1] == pytest.approx(0.1 * 0.05)


@pytest.mark.parametrize("arrives", [False, True], ids=["it was moved", "it was on its way"])
def test_an_arm_away_from_its_last_command_when_joint_states_are_back_may_arrive_before_it_counts_as_moved(
    bench: Any, arrives: bool
) -> None:
    bench.move()
    bench.joint_states_come = False
    bench.run(0.5)
    last = bench.commands[-1].positions_rad
    bench.joint_states_come = True
    bench.stuck_rad, bench.pose = -0.3 * np.eye(6)[2], last + 0.3 * np.eye(6)[2]
    bench.run(0.4)
    assert bench.state is ArmingState.HOLDING
    assert "elbow_flex is 0.30 rad from its last command" in bench.reason
    np.testing.assert_array_equal(bench.commands[-1].positions_rad, last)
    if arrives:
        bench.stuck_rad = np.zeros(6)
    bench.run(0.2)
    assert bench.state is (ArmingState.ARMED if arrives else ArmingState.FAULT)
    assert arrives or "look at the arm" in bench.reason


def test_a_gripper_behind_its_command_does_not_count_as_a_moved_arm(bench: Any) -> None:
    bench.move()
    bench.joint_states_come = False
    bench.run(0.5)
    moved = bench.commands[-1].positions_rad + 0.8 * np.eye(6)[5]
    bench.executor.update_joints(Joints(bench.now_ns, moved, np.zeros(6)))
    bench.run(0.1)
    assert bench.state is not ArmingState.FAULT


@pytest.mark.parametrize(
    ("joint", "behind_rad", "settings", "faults"),
    [
        (2, 0.6, {}, True),
        (2, 0.4, {}, False),
        (2, 0.6, {"max_following_error_rad": 0.0}, False),
        (2, 0.6, {"following_error_s": 2.0}, False),
        (5, 0.6, {}, False),  # the gripper holds an object
    ],
)
def test_a_joint_that_stays_behind_its_command_is_a_fault(
    make_bench: Any, joint: int, behind_rad: float, settings: dict[str, float], faults: bool
) -> None:
    bench = make_bench(**settings)
    bench.move()
    bench.stuck_rad = behind_rad * np.eye(6)[joint]
    bench.run(0.4)
    assert bench.state is ArmingState.ARMED  # it can still catch up
    bench.run(0.2)
    assert (bench.state is ArmingState.FAULT) == faults
    if faults:
        assert "elbow_flex is 0.60 rad from its command" in bench.reason
        sent = len(bench.commands)
        bench.run(0.2)
        assert len(bench.commands) == sent
    else:
        error_rad = bench.executor.status(bench.now_ns).following_error_rad
        assert error_rad == pytest.approx(0.0 if joint == 5 else behind_rad, abs=0.02)


def test_a_joint_that_stays_behind_is_a_fault_also_when_the_clock_is_set_back(make_bench: Any) -> None:
    bench = make_bench(max_following_error_rad=0.5)
    bench.move()
    bench.stuck_rad = 0.6 * np.eye(6)[2]
    bench.run(0.3)
    bench.now_ns -= 500 * SECOND
    bench.run(0.4)
    assert bench.state is ArmingState.HOLDING
    bench.run(0.3)
    assert bench.state is ArmingState.FAULT and "elbow_flex is 0.60 rad from its command" in bench.reason


def test_a_joint_that_catches_up_in_time_is_no_fault(bench: Any) -> None:
    bench.move()
    for _ in range(3):
        bench.stuck_rad = 0.6 * np.eye(6)[2]
        bench.run(0.3)
        bench.stuck_rad = np.zeros(6)
        bench.run(0.1)
    assert bench.state is not ArmingState.FAULT


def test_a_fast_motion_ends_by_braking_when_joint_states_stop(bench: Any) -> None:
    bench.reconfigure(max_step_rad=0.1, max_acceleration_rad_s2=10.0)
    bench.run(0.1)
    bench.accept(pan_speed=1.4)
    bench.run(1.0)
    bench.joint_states_come = False
    bench.run(1.0)
    steps = np.diff(bench.pan())
    assert steps.max() > 0.04 and steps[-1] == 0.0
    assert np.abs(np.diff(steps)).max() <= 10.0 * PERIOD_S**2 + 1e-9


def test_no_request_is_sent_while_joint_states_are_stale(bench: Any) -> None:
    bench.run(0.1)
    bench.accept()
    assert len(bench.requests) == 1
    bench.joint_states_come = False
    bench.run(3.0)
    assert len(bench.requests) == 1
    bench.joint_states_come = True
    bench.run()
    assert len(bench.requests) == 2


def test_it_goes_on_by_itself_with_the_next_chunk(bench: Any) -> None:
    bench.move()
    bench.run(3.0)
    assert bench.state is ArmingState.HOLDING
    bench.accept(pan_speed=-0.5)
    bench.run(1.0)
    assert bench.state is ArmingState.ARMED and bench.reason == ""
    assert bench.pan()[-1] < 0.0


def test_waiting_for_the_first_chunk_is_no_starvation(bench: Any) -> None:
    bench.run(1.0)
    assert bench.state is ArmingState.HOLDING
    assert bench.reason.startswith("no chunk yet for 'pick'; holding for 1.0 s")
    assert bench.executor.status(bench.now_ns).starved_periods == 0


def test_without_a_task_it_holds_and_sends_no_request(make_bench: Any) -> None:
    bench = make_bench(task="")
    bench.run(0.5)
    assert bench.state is ArmingState.HOLDING and "no task" in bench.reason
    assert bench.commands and not bench.requests
    assert bench.refusal(task="") == "wrong_task"


@pytest.mark.parametrize(("back_s", "words"), [(0.0, "stands still"), (0.02, "went back by 0.020 s")])
def test_it_holds_while_the_clock_does_not_advance(bench: Any, back_s: float, words: str) -> None:
    bench.move()
    bench.now_ns -= round((back_s + PERIOD_S) * SECOND)
    bench.run()
    assert bench.state is ArmingState.HOLDING and words in bench.reason
    assert bench.pan()[-1] == bench.pan()[-2]
    bench.run(0.1)
    assert bench.state is ArmingState.ARMED
    assert (np.diff(bench.pan()) >= 0.0).all()


def test_after_a_jump_of_the_clock_it_starts_over_in_the_new_time(bench: Any) -> None:
    bench.move()
    bench.now_ns -= 500 * SECOND
    held = bench.pan()[-1]
    bench.run(0.5)
    assert bench.state is ArmingState.HOLDING and bench.pan()[-1] == held
    assert bench.requests[-1].reason is RequestReason.START
    bench.now_ns -= 400 * SECOND
    bench.run(0.5)
    assert "no chunk yet" in bench.reason and "holding for 0.5 s" in bench.reason
    bench.accept()
    bench.run(0.5)
    assert bench.state is ArmingState.ARMED
    assert np.abs(np.diff(bench.pan())).max() <= 0.05 + 1e-12
