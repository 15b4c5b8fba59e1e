# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One request at a time, early enough, and again when nobody answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from smolvla_ros.chunk import RequestReason
from smolvla_ros.execution.trigger import ChunkTrigger, LatencyWindow

SECOND = 1_000_000_000


@pytest.fixture
def started(make_chunk: Any) -> ChunkTrigger:
    """A trigger whose first request, of 0 s, was answered after 5 s by a chunk of 1 s."""
    trigger = ChunkTrigger(threshold=0.7, timeout_s=10.0)
    answer(trigger, make_chunk, trigger.ask(0, RequestReason.START), 5.0)
    return trigger


def answer(trigger: ChunkTrigger, make_chunk: Any, request_id: int, now_s: float) -> None:
    trigger.accept(make_chunk(now_s, np.zeros(11), request_id=request_id), round(now_s * SECOND))


def test_the_first_request_is_a_start() -> None:
    assert ChunkTrigger(0.7, 10.0).due(0, 0) is RequestReason.START


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
    assert started.due(6 * SECOND, round(remaining_s * SECOND)) is reason


@pytest.mark.parametrize(("threshold", "at_full", "at_half"), [(0.0, False, False), (1.0, True, True)])
def test_threshold_one_always_asks_and_zero_only_when_empty(
    started: ChunkTrigger, threshold: float, at_full: bool, at_half: bool
) -> None:
    started.threshold = threshold
    assert (started.due(6 * SECOND, SECOND) is not None) == at_full
    assert (started.due(6 * SECOND, SECOND // 2) is not None) == at_half
    assert started.due(6 * SECOND, 0) is RequestReason.EMPTY


def test_one_request_is_in_flight_until_it_times_out(started: ChunkTrigger) -> None:
    assert started.ask(6 * SECOND, RequestReason.EMPTY) == 2
    assert started.due(6 * SECOND, 0) is None
    assert started.due(16 * SECOND - 1, 0) is None
    assert started.due(16 * SECOND, 0) is RequestReason.EMPTY
    assert started.ask(16 * SECOND, RequestReason.EMPTY) == 3


def test_a_new_task_is_asked_for_at_once(started: ChunkTrigger, make_chunk: Any) -> None:
    started.ask(6 * SECOND, RequestReason.THRESHOLD)
    started.change_task()
    assert started.waits_for_first
    assert started.due(6 * SECOND, 0) is RequestReason.TASK_CHANGE
    answer(started, make_chunk, started.ask(6 * SECOND, RequestReason.TASK_CHANGE), 6.5)
    assert not started.waits_for_first
    assert started.due(7 * SECOND, SECOND) is None


def test_before_any_chunk_a_new_task_is_still_a_start() -> None:
    trigger = ChunkTrigger(0.7, 10.0)
    trigger.ask(0, RequestReason.START)
    trigger.change_task()
    assert trigger.due(0, 0) is RequestReason.START


def test_a_refused_answer_is_asked_for_again(started: ChunkTrigger) -> None:
    request_id = started.ask(6 * SECOND, RequestReason.EMPTY)
    started.reject(request_id - 1)
    assert started.due(6 * SECOND, 0) is None
    started.reject(request_id)
    assert started.due(6 * SECOND, 0) is RequestReason.EMPTY


def test_a_chunk_that_nobody_asked_for_leaves_the_request_in_flight(
    started: ChunkTrigger, make_chunk: Any
) -> None:
    started.ask(6 * SECOND, RequestReason.EMPTY)
    answer(started, make_chunk, 0, 6.1)
    assert started.due(7 * SECOND, 0) is None


def test_the_cold_start_does_not_count(started: ChunkTrigger, make_chunk: Any) -> None:
    assert math.isnan(started.latencies.percentile(50.0))
    assert started.expected_delay_s == 0.0
    answer(started, make_chunk, started.ask(6 * SECOND, RequestReason.EMPTY), 6.25)
    assert started.latencies.percentile(50.0) == pytest.approx(0.25)
    assert started.expected_delay_s == pytest.approx(0.25)


def test_starting_over_forgets_the_plan_but_counts_on(started: ChunkTrigger) -> None:
    started.start_over()
    assert started.due(6 * SECOND, SECOND) is RequestReason.START
    assert started.ask(6 * SECOND, RequestReason.START) == 2


def test_percentiles_are_of_the_newest_latencies() -> None:
    window = LatencyWindow(size=20)
    for latency_s in range(1, 121):
        window.add(float(latency_s))
    assert [window.percentile(percent) for percent in (0.0, 50.0, 95.0, 100.0)] == [101, 110, 119, 120]
