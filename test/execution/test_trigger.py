# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One request at a time, early enough, and again when nobody answers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from smolvla_ros.chunk import ChunkError, RequestReason
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.trigger import ChunkTrigger

SECOND = 1_000_000_000
POSE = np.zeros(6)
MOVED = POSE + 0.1
CONFIG = ExecutorConfig(rate_hz=100.0)


@pytest.fixture
def started(make_chunk: Any) -> ChunkTrigger:
    """A trigger whose first request, of 0 s, was answered after 5 s by a chunk of 1 s."""
    trigger = ChunkTrigger(CONFIG)
    answer(trigger, make_chunk, trigger.add_request(0, POSE), 5.0)
    return trigger


def measure(trigger: ChunkTrigger, make_chunk: Any, latencies_s: Any, now_s: float = 6.0) -> None:
    """Requests answered after these latencies."""
    for latency_s in latencies_s:
        request_id = trigger.add_request(round(now_s * SECOND), POSE)
        answer(trigger, make_chunk, request_id, now_s + latency_s)


def answer(trigger: ChunkTrigger, make_chunk: Any, request_id: int, now_s: float) -> None:
    trigger.accept(make_chunk(now_s, np.zeros(11), request_id=request_id), round(now_s * SECOND))


def test_the_first_request_is_a_start() -> None:
    assert ChunkTrigger(CONFIG).reason_to_request(0, 0, POSE) is RequestReason.START


@pytest.mark.parametrize(
    ("remaining_s", "reason"),
    [
        (0.0, RequestReason.EMPTY),
        (0.3, RequestReason.THRESHOLD),
        (0.7, RequestReason.THRESHOLD),
        (0.71, None),
    ],
)
def test_it_asks_when_the_share_left_is_small(
    started: ChunkTrigger, remaining_s: float, reason: RequestReason | None
) -> None:
    assert started.reason_to_request(6 * SECOND, round(remaining_s * SECOND), MOVED) is reason


@pytest.mark.parametrize(("threshold", "at_full", "at_half"), [(0.0, False, False), (1.0, True, True)])
def test_threshold_one_always_asks_and_zero_only_when_empty(
    started: ChunkTrigger, threshold: float, at_full: bool, at_half: bool
) -> None:
    started.config = dataclasses.replace(CONFIG, threshold=threshold)
    assert (started.reason_to_request(6 * SECOND, SECOND, MOVED) is not None) == at_full
    assert (started.reason_to_request(6 * SECOND, SECOND // 2, MOVED) is not None) == at_half
    assert started.reason_to_request(6 * SECOND, 0, MOVED) is RequestReason.EMPTY


def test_one_request_is_in_flight_until_it_times_out(started: ChunkTrigger) -> None:
    assert started.add_request(6 * SECOND, POSE) == 2
    assert started.reason_to_request(6 * SECOND, 0, MOVED) is None
    assert started.reason_to_request(16 * SECOND - 1, 0, MOVED) is None
    assert started.reason_to_request(16 * SECOND, 0, MOVED) is RequestReason.EMPTY
    assert started.add_request(16 * SECOND, POSE) == 3


def test_a_new_task_is_asked_for_at_once(started: ChunkTrigger, make_chunk: Any) -> None:
    started.add_request(6 * SECOND, POSE)
    started.change_task()
    assert started.waits_for_first_chunk
    assert started.reason_to_request(6 * SECOND, 0, MOVED) is RequestReason.TASK_CHANGE
    answer(started, make_chunk, started.add_request(6 * SECOND, POSE), 6.5)
    assert not started.waits_for_first_chunk
    assert started.reason_to_request(7 * SECOND, SECOND, MOVED) is None


def test_before_any_chunk_a_new_task_is_still_a_start() -> None:
    trigger = ChunkTrigger(CONFIG)
    trigger.add_request(0, POSE)
    trigger.change_task()
    assert trigger.reason_to_request(0, 0, MOVED) is RequestReason.START


def test_a_refused_answer_is_asked_for_again(started: ChunkTrigger) -> None:
    request_id = started.add_request(6 * SECOND, POSE)
    started.reject(request_id - 1, 6 * SECOND)
    assert started.reason_to_request(6 * SECOND, 0, MOVED) is None
    started.reject(request_id, 6 * SECOND)
    assert started.reason_to_request(6 * SECOND, 0, MOVED) is RequestReason.EMPTY


def test_refused_answers_in_a_row_are_asked_for_again_ever_later(started: ChunkTrigger) -> None:
    now_ns, waits_s = 6 * SECOND, []
    for _ in range(5):
        asked_ns = now_ns
        while started.reason_to_request(now_ns, 0, MOVED) is None:
            now_ns += SECOND // 100
        waits_s.append((now_ns - asked_ns) / SECOND)
        started.reject(started.add_request(now_ns, POSE), now_ns)
    np.testing.assert_allclose(waits_s, [0.0, 0.0, 0.1, 0.2, 0.4])
    started.change_task()
    assert started.reason_to_request(now_ns, 0, MOVED) is RequestReason.TASK_CHANGE


def test_unanswered_requests_are_repeated_ever_later_until_one_is_answered(
    started: ChunkTrigger, make_chunk: Any
) -> None:
    now_ns, asked_ns = 6 * SECOND, []
    while len(asked_ns) < 5:
        if started.reason_to_request(now_ns, 0, MOVED) is not None:
            started.add_request(now_ns, POSE)
            asked_ns.append(now_ns)
        now_ns += SECOND
    np.testing.assert_array_equal(np.diff(asked_ns) / SECOND, [10, 20, 40, 40])
    assert started.timeouts == 4
    answer(started, make_chunk, started.requests, now_ns / SECOND)
    assert not len(started.latencies)  # it may have been restarted, and answers late
    started.add_request(now_ns, POSE)
    assert started.reason_to_request(now_ns + 10 * SECOND, 0, MOVED) is RequestReason.EMPTY


def test_a_request_is_answered_once(started: ChunkTrigger, make_chunk: Any) -> None:
    request_id = started.add_request(6 * SECOND, POSE)
    started.check(make_chunk(6.1, np.zeros(11), request_id=request_id))
    answer(started, make_chunk, request_id, 6.1)
    with pytest.raises(ChunkError, match="do two policy nodes run"):
        started.check(make_chunk(6.2, np.zeros(11), request_id=request_id))
    started.check(make_chunk(6.2, np.zeros(11), request_id=0))


def test_a_chunk_that_nobody_asked_for_leaves_the_request_in_flight(
    started: ChunkTrigger, make_chunk: Any
) -> None:
    started.add_request(6 * SECOND, POSE)
    answer(started, make_chunk, 0, 6.1)
    assert started.reason_to_request(7 * SECOND, 0, MOVED) is None


def test_the_cold_start_does_not_count(started: ChunkTrigger, make_chunk: Any) -> None:
    assert math.isnan(started.latencies.percentile(50.0))
    assert started.expected_delay_s == 0.0
    answer(started, make_chunk, started.add_request(6 * SECOND, POSE), 6.25)
    assert started.latencies.percentile(50.0) == pytest.approx(0.25)
    assert started.expected_delay_s == pytest.approx(0.25)


def test_the_first_answer_of_a_new_policy_does_not_count(started: ChunkTrigger, make_chunk: Any) -> None:
    started.add_request(6 * SECOND, POSE)
    started.policy_changed()
    assert started.reason_to_request(6 * SECOND, 0, MOVED) is RequestReason.EMPTY
    measure(started, make_chunk, [8.0], now_s=6.0)
    assert not len(started.latencies)
    measure(started, make_chunk, [0.2], now_s=15.0)
    assert started.latencies.percentile(50.0) == pytest.approx(0.2)


def test_a_policy_that_just_appeared_is_asked_until_it_answers(
    started: ChunkTrigger, make_chunk: Any
) -> None:
    started.policy_changed()
    for asked_s in (6, 7, 9):
        assert started.reason_to_request(asked_s * SECOND - 1, 0, MOVED) is (
            RequestReason.EMPTY if asked_s == 6 else None
        )
        assert started.reason_to_request(asked_s * SECOND, 0, MOVED) is RequestReason.EMPTY
        request_id = started.add_request(asked_s * SECOND, POSE)
    assert started.timeouts == 0
    answer(started, make_chunk, request_id, 9.2)
    started.add_request(10 * SECOND, POSE)
    assert started.reason_to_request(13 * SECOND, 0, MOVED) is None


def test_starting_over_forgets_the_plan_but_counts_on(started: ChunkTrigger) -> None:
    started.start_over()
    assert started.reason_to_request(6 * SECOND, SECOND, MOVED) is RequestReason.START
    assert started.add_request(6 * SECOND, POSE) == 2


def test_synchronously_it_asks_only_when_all_is_used_up(started: ChunkTrigger) -> None:
    started.config = dataclasses.replace(CONFIG, trigger="sync")
    assert started.reason_to_request(6 * SECOND, 1, MOVED) is None
    assert started.reason_to_request(6 * SECOND, 0, MOVED) is RequestReason.EMPTY


def test_an_arm_that_stands_still_is_asked_for_as_late_as_the_latencies_allow(
    started: ChunkTrigger, make_chunk: Any
) -> None:
    measure(started, make_chunk, [0.2] * 10)
    for pose, moved in ((POSE, False), (POSE + 0.049, False), (POSE + 0.05 * np.eye(6)[3], True)):
        asked_s = [
            remaining_s
            for remaining_s in np.arange(1.0, 0.0, -0.01)
            if started.reason_to_request(8 * SECOND, round(remaining_s * SECOND), pose) is not None
        ]
        assert asked_s[0] == pytest.approx(0.7 if moved else 0.22, abs=0.011)
    assert started.reason_to_request(8 * SECOND, 0, POSE) is RequestReason.EMPTY
    started.change_task()
    assert started.reason_to_request(8 * SECOND, SECOND, POSE) is RequestReason.TASK_CHANGE


def test_before_the_latencies_are_known_an_arm_that_stands_still_is_asked_for_in_time(
    started: ChunkTrigger, make_chunk: Any
) -> None:
    measure(started, make_chunk, [0.2] * 4)
    assert started.reason_to_request(8 * SECOND, SECOND // 2, POSE) is RequestReason.THRESHOLD


def test_the_automatic_threshold_begins_with_the_one_that_is_set(
    started: ChunkTrigger, make_chunk: Any
) -> None:
    started.config = dataclasses.replace(CONFIG, trigger="auto", threshold=0.6)
    assert started.threshold == 0.6
    measure(started, make_chunk, [0.3] * 5)
    assert started.threshold == pytest.approx(0.32)
    measure(started, make_chunk, [30.0] * 5)
    assert started.threshold == 1.0


@pytest.mark.parametrize("probability", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("spread", [0.05, 0.4])
def test_the_automatic_threshold_starves_no_more_often_than_it_is_allowed_to(
    started: ChunkTrigger, make_chunk: Any, probability: float, spread: float
) -> None:
    started.config = dataclasses.replace(CONFIG, trigger="auto", starvation_probability=probability)
    latencies_s = 0.2 * np.exp(np.random.default_rng(3).normal(0.0, spread, 3000))
    starved, thresholds = 0, []
    for latency_s in latencies_s:
        thresholds.append(started.threshold)
        starved += len(started.latencies) >= 20 and latency_s > thresholds[-1]  # of a chunk of 1 s
        measure(started, make_chunk, [latency_s])
    assert starved / len(latencies_s) <= 1.3 * probability
    assert np.median(thresholds[100:]) < 1.5 * np.quantile(latencies_s, 1.0 - probability)
