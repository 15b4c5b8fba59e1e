# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which chunks the executor accepts, and its requests."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from smolvla_ros.chunk import ChunkError, RequestReason
from smolvla_ros.execution.arming import ArmingState

PERIOD_S = 1.0 / 30.0


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("wrong_joints", {"joint_names": ("a", "b", "c", "d", "e", "f")}),
        ("wrong_width", {"positions": np.zeros((60, 5))}),
        ("not_finite", {"positions": np.full((60, 6), math.nan)}),
        ("step_duration", {"step_duration_ns": 0}),
        ("expired", {"age_s": 5.0}),
        ("from_the_future", {"age_s": -1.0}),
        ("wrong_task", {"task": "wave"}),
        ("out_of_order", {"age_s": 0.86}),
        ("before_arming", {"age_s": 1.5}),
        ("not_asked", {"request_id": 1000}),
    ],
)
def test_a_bad_chunk_is_refused_whole_and_counted(bench: Any, reason: str, fields: dict[str, Any]) -> None:
    bench.move()
    before = bench.executor.status(bench.now_ns)
    assert bench.refusal(**fields) == reason
    after = bench.executor.status(bench.now_ns)
    assert after.rejected == {reason: 1}
    assert repr(dataclasses.replace(after, rejected={})) == repr(before)  # NaN does not equal NaN


def test_a_duplicate_is_refused_and_a_restarted_policy_is_not(bench: Any) -> None:
    bench.move()
    assert bench.refusal(observation_stamp_ns=bench.observed_ns, chunk_id=2) == "duplicate"
    bench.accept(chunk_id=1)


def test_a_chunk_may_be_late_for_an_arm_that_waits_but_not_of_any_age(make_bench: Any) -> None:
    bench = make_bench(max_chunk_age_s=4.0)
    bench.run(5.0)
    assert bench.refusal(age_s=4.1) == "expired"
    bench.accept(age_s=3.9)


def test_a_refused_answer_is_asked_for_again_at_once(bench: Any) -> None:
    bench.run(0.1)
    assert len(bench.requests) == 1
    assert bench.refusal(task="wave") == "wrong_task"
    bench.run()
    assert len(bench.requests) == 2


def test_an_unreadable_chunk_is_counted_too(bench: Any) -> None:
    bench.run(0.1)
    bench.executor.reject("wrong_width", bench.requests[-1].request_id, bench.now_ns)
    bench.run()
    assert bench.executor.status(bench.now_ns).rejected == {"wrong_width": 1}
    assert len(bench.requests) == 2


def test_a_request_carries_what_is_still_to_be_executed(bench: Any) -> None:
    bench.move()
    request = bench.requests[-1]
    assert request.reason is RequestReason.THRESHOLD
    assert request.queue_duration_s == pytest.approx(0.7 * 2.0, abs=PERIOD_S)
    assert request.prefix.shape == (len(request.prefix), 6)
    assert len(request.prefix) * PERIOD_S == pytest.approx(request.queue_duration_s, abs=PERIOD_S)
    sent = next(command for command in bench.commands if command.stamp_ns == request.stamp_ns)
    np.testing.assert_allclose(request.prefix[0], sent.positions_rad, atol=1e-6)
    assert 0 < request.prefix_stamp_ns - request.stamp_ns <= 1


def test_one_request_is_in_flight_until_it_times_out(bench: Any) -> None:
    bench.run(9.9)
    assert len(bench.requests) == 1 and bench.requests[0].prefix.shape == (0, 6)
    bench.run(0.3)
    assert [request.request_id for request in bench.requests] == [1, 2]
    assert bench.executor.status(bench.now_ns).timeouts == 1


def test_a_second_policy_cannot_answer_a_request_again(bench: Any) -> None:
    bench.move()
    answered_id = bench.answered_id
    with pytest.raises(ChunkError, match="do two policy nodes run") as caught:
        bench.accept(request_id=answered_id, age_s=0.0)
    assert caught.value.reason == "duplicate"
    bench.accept(request_id=0, age_s=0.0)


def arm_again(bench: Any, way: str) -> None:
    """From moving, by one of the operations of a user, to armed or shadow again."""
    if way == "reset and armed":
        assert bench.executor.stop("operator").ok and bench.executor.reset().ok
    elif way == "disarmed and armed":
        assert bench.executor.disarm().ok
    elif way == "started again":
        assert bench.executor.disarm().ok
        bench.executor.start(bench.now_ns)
        bench.measure()
    if way == "set to shadow":
        assert bench.executor.shadow(True, bench.now_ns).ok
    else:
        assert bench.executor.arm(bench.now_ns).ok


@pytest.mark.parametrize("way", ["reset and armed", "disarmed and armed", "started again", "set to shadow"])
def test_nothing_asked_for_or_observed_before_the_last_arming_is_followed(bench: Any, way: str) -> None:
    bench.move()
    observed_before = bench.chunk(age_s=0.0, request_id=0)
    bench.now_ns += 1_000_000
    bench.measure()
    arm_again(bench, way)
    bench.run(0.1)
    asked_before = bench.chunk(age_s=0.0, request_id=1)
    for chunk in (observed_before, asked_before):
        with pytest.raises(ChunkError) as caught:
            bench.executor.accept(chunk, bench.now_ns)
        assert caught.value.reason == "before_arming"
    assert bench.executor.status(bench.now_ns).rejected == {"before_arming": 2}
    assert bench.executor.plan(bench.now_ns) is None
    bench.accept(age_s=0.0)


def test_arming_an_armed_executor_again_goes_on_with_its_plan(bench: Any) -> None:
    bench.move()
    chunk = bench.chunk(age_s=0.0)
    assert bench.executor.arm(bench.now_ns + 1).message == "already armed"
    bench.executor.accept(chunk, bench.now_ns)


def test_started_again_it_knows_no_pose_of_before(bench: Any) -> None:
    bench.move()
    assert bench.executor.disarm().ok
    bench.executor.start(bench.now_ns)
    assert "no joint states yet" in bench.executor.arm(bench.now_ns).message


@pytest.mark.parametrize("latch", ["stopped", "fault"])
def test_started_again_it_stays_stopped_or_in_fault(make_bench: Any, latch: str) -> None:
    bench = make_bench(max_following_error_rad=0.1, following_error_s=0.0)
    bench.move()
    if latch == "stopped":
        assert bench.executor.stop("operator").ok
    else:
        bench.stuck_rad = np.full(6, 0.5)
        bench.run(0.1)
    reason = bench.reason
    bench.executor.start(bench.now_ns)
    assert (bench.state.name, bench.reason) == (latch.upper(), reason)


def test_a_policy_that_begins_to_listen_is_asked_at_once(bench: Any) -> None:
    bench.run(0.5)
    assert len(bench.requests) == 1
    bench.executor.policy_changed()
    bench.run()
    assert len(bench.requests) == 2


def test_a_new_task_drops_the_plan_and_refuses_chunks_of_the_old_one(bench: Any) -> None:
    bench.move()
    bench.executor.set_task("wave", bench.now_ns)
    held = bench.pan()[-1]
    bench.run()
    assert bench.requests[-1].reason is RequestReason.TASK_CHANGE and bench.requests[-1].task == "wave"
    assert bench.refusal(task="pick") == "wrong_task"
    bench.run(0.5)
    assert bench.pan()[-1] == held
    assert bench.reason.startswith("no chunk yet for 'wave'; holding for 0.5 s")
    bench.accept(task="wave")
    bench.run()
    assert bench.state is ArmingState.ARMED


@pytest.mark.parametrize("on_task_change", ["finish", "blend"])
def test_the_old_plan_may_go_on_until_the_new_tasks_chunk_comes(make_bench: Any, on_task_change: str) -> None:
    bench = make_bench(on_task_change=on_task_change)
    bench.move()
    before = bench.pan()[-1]
    bench.executor.set_task("wave", bench.now_ns)
    bench.run()
    assert bench.requests[-1].reason is RequestReason.TASK_CHANGE and len(bench.requests[-1].prefix)
    assert bench.refusal(task="pick") == "wrong_task"
    bench.run(0.3)
    assert bench.state is ArmingState.ARMED
    assert bench.pan()[-1] == pytest.approx(before + 0.5 * (0.3 + PERIOD_S), abs=1e-6)
    goal = bench.middle + (bench.pan()[-1] + 0.03) * np.eye(6)[0]
    bench.accept(task="wave", positions=np.tile(goal, (61, 1)))
    bench.run()
    steps = np.diff(bench.pan())[-2:]
    assert (steps[1] == pytest.approx(steps[0], abs=0.002)) == (on_task_change == "blend")
    bench.run(1.0)
    assert bench.pan()[-1] == pytest.approx(goal[0], abs=1e-6)


def test_the_old_plan_ends_without_a_chunk_of_the_new_task(make_bench: Any) -> None:
    bench = make_bench(on_task_change="finish")
    bench.move()
    bench.executor.set_task("wave", bench.now_ns)
    bench.run(3.0)
    assert bench.state is ArmingState.HOLDING and bench.reason.startswith("no chunk yet for 'wave'")
    bench.executor.set_task("pick", bench.now_ns)
    bench.accept()
    bench.run(0.1)
    bench.executor.set_task("", bench.now_ns)
    bench.run()
    assert bench.state is ArmingState.HOLDING and bench.reason.startswith("no task")


def test_a_new_task_may_be_answered_from_the_same_observation(bench: Any) -> None:
    bench.move()
    bench.executor.set_task("wave", bench.now_ns)
    bench.accept(task="wave", observation_stamp_ns=bench.observed_ns)


def test_how_long_it_waits_is_counted_from_the_newest_task(bench: Any) -> None:
    bench.run(1.0)
    bench.executor.set_task("wave", bench.now_ns)
    bench.run(0.2)
    assert bench.reason.startswith("no chunk yet for 'wave'; holding for 0.2 s")


def test_the_same_task_again_changes_nothing(bench: Any) -> None:
    bench.move()
    bench.executor.set_task("pick", bench.now_ns)
    bench.run()
    assert bench.state is ArmingState.ARMED
