# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The queue returns each action once, in order, and when it is due."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smolvla_ros.chunk import ChunkError
from smolvla_ros.execution.action_queue import ActionQueue
from smolvla_ros.execution.fusion import (
    FUSIONS,
    Fusion,
    FusionSettings,
    linear_blend,
    replace,
    temporal_ensemble,
)

READY_S = 0.5  # when the queues of `moving` have executed something, so that clock problems are reported
each_fusion = pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS.keys())
SECOND = 1_000_000_000


def taken(queue: ActionQueue, now_s: float) -> float | None:
    positions = queue.take(round(now_s * SECOND))
    return None if positions is None else float(positions[0])


def moving(make_chunk: Any, fusion: Fusion) -> ActionQueue:
    """A queue that has executed a chunk, which is over."""
    queue = ActionQueue(fusion)
    queue.merge(make_chunk(READY_S - 0.1, [0.0, 0.0]), round((READY_S - 0.1) * SECOND))
    assert taken(queue, READY_S) == 0.0
    return queue


def test_an_empty_queue_gives_nothing() -> None:
    queue = ActionQueue(replace)
    assert taken(queue, 1.0) is None
    assert queue.remaining_ns(SECOND) == 0
    assert queue.remaining(SECOND) is None
    assert queue.chunk_ids(SECOND) == ()


def test_actions_are_interpolated_when_control_is_faster(make_chunk: Any) -> None:
    queue = ActionQueue(replace)
    queue.merge(make_chunk(1.0, [0.0, 1.0, 2.0]), SECOND)
    values = [taken(queue, now_s) for now_s in (1.0, 1.025, 1.05, 1.1, 1.175, 1.2)]
    assert values == pytest.approx([0.0, 0.25, 0.5, 1.0, 1.75, 2.0])
    assert taken(queue, 1.21) is None


def test_late_actions_are_skipped(make_chunk: Any) -> None:
    queue = moving(make_chunk, replace)
    queue.merge(make_chunk(1.0, [0.0, 1.0, 2.0, 3.0]), round(1.15 * SECOND))
    assert taken(queue, 1.1) is None
    assert taken(queue, 1.15) == pytest.approx(1.5)


def test_nothing_of_a_chunk_is_skipped_before_anything_was_executed(make_chunk: Any) -> None:
    queue = ActionQueue(replace)
    queue.merge(make_chunk(1.0, [0.0, 1.0, 2.0, 3.0]), round(6.0 * SECOND))  # a cold start of 5 s
    assert [taken(queue, now_s) for now_s in (6.0, 6.15, 6.3, 6.31)] == pytest.approx([0.0, 1.5, 3.0, None])


def test_a_chunk_waits_as_long_as_the_arm_stood_still(make_chunk: Any) -> None:
    queue = moving(make_chunk, replace)
    queue.merge(make_chunk(0.9, np.arange(4.0)), round(0.9 * SECOND))
    for now_s in (1.0, 1.1, 1.2):
        assert taken(queue, now_s) is not None
    for now_s in (1.3, 1.4, 1.5):
        queue.hold(round(now_s * SECOND))
    assert queue.held_ns(SECOND, round(1.6 * SECOND)) == round(0.3 * SECOND)
    assert queue.held_ns(round(1.45 * SECOND), round(1.6 * SECOND)) == round(0.15 * SECOND)
    queue.merge(make_chunk(1.0, np.arange(10.0)), round(1.6 * SECOND))  # of 0.6 s, 0.3 s were executed
    assert taken(queue, 1.6) == pytest.approx(3.0)
    assert taken(queue, 1.7) == pytest.approx(4.0)
    assert queue.held_ns(SECOND, 2 * SECOND) == round(0.3 * SECOND)


def test_holding_before_the_observation_does_not_delay_a_chunk(make_chunk: Any) -> None:
    queue = moving(make_chunk, replace)
    queue.hold(round(0.6 * SECOND))
    queue.merge(make_chunk(0.9, np.arange(10.0)), round(0.9 * SECOND))
    assert taken(queue, 1.0) == pytest.approx(1.0)
    assert queue.held_ns(0, SECOND) == round(0.4 * SECOND)
    assert queue.held_ns(SECOND, 2 * SECOND) == 0


def test_the_expiry_is_not_delayed_by_holding(make_chunk: Any) -> None:
    queue = ActionQueue(replace)
    queue.merge(make_chunk(1.0, np.arange(4.0), expires_ns=1_450_000_000), round(1.3 * SECOND))
    assert taken(queue, 1.45) == pytest.approx(1.5)
    assert taken(queue, 1.46) is None


@pytest.mark.parametrize("again_s", [1.1, 1.05, 0.0])
def test_no_moment_is_taken_twice(make_chunk: Any, again_s: float) -> None:
    queue = ActionQueue(replace)
    queue.merge(make_chunk(1.0, [0.0, 1.0, 2.0]), SECOND)
    assert taken(queue, 1.1) == 1.0
    assert taken(queue, again_s) is None
    assert taken(queue, 1.15) == pytest.approx(1.5)


@each_fusion
def test_a_chunk_does_not_bring_back_what_was_taken(make_chunk: Any, fusion: Fusion) -> None:
    queue = ActionQueue(fusion)
    queue.merge(make_chunk(1.0, [0.0, 1.0, 2.0]), SECOND)
    taken(queue, 1.15)
    queue.merge(make_chunk(1.05, [0.0, 1.0, 2.0]), round(1.08 * SECOND))  # the clock was set back
    rest = queue.remaining(0)
    assert rest is not None and rest.start_ns > 1.15 * SECOND
    assert taken(queue, 1.1) is None


def test_a_chunk_that_has_ended_is_rejected(make_chunk: Any) -> None:
    queue = ActionQueue(replace)
    queue.merge(make_chunk(1.0, [0.0, 1.0, 2.0]), SECOND)
    taken(queue, 1.19)
    with pytest.raises(ChunkError, match="ends before") as caught:
        queue.merge(make_chunk(0.9, [5.0, 5.0, 5.0]), SECOND)
    assert caught.value.reason == "expired"
    assert taken(queue, 1.195) == pytest.approx(1.95)


def test_nothing_of_a_chunk_is_executed_after_it_expires(make_chunk: Any) -> None:
    queue = ActionQueue(replace)
    queue.merge(make_chunk(1.0, [0.0, 1.0, 2.0], expires_ns=1_150_000_000), SECOND)
    assert queue.remaining_ns(SECOND) == 150_000_000
    assert taken(queue, 1.15) == pytest.approx(1.5)
    assert taken(queue, 1.16) is None


def test_the_remainder_has_the_steps_of_the_newest_chunk(make_chunk: Any) -> None:
    queue = moving(make_chunk, linear_blend)
    queue.merge(make_chunk(1.0, np.arange(10.0)), SECOND)
    queue.merge(make_chunk(1.2, np.arange(10.0), step_duration_ns=50_000_000), round(1.33 * SECOND))
    taken(queue, 1.34)
    rest = queue.remaining(round(1.34 * SECOND))
    assert rest is not None
    assert set(np.diff(rest.times_ns).tolist()) == {50_000_000}
    assert rest.start_ns == 1_340_000_001
    assert rest.end_ns <= round(1.65 * SECOND)


def test_length_counts_remaining_actions(make_chunk: Any) -> None:
    queue = ActionQueue(replace)
    queue.merge(make_chunk(1.0, np.arange(10.0)), SECOND)
    assert queue.length(SECOND) == 9
    assert queue.length(round(1.25 * SECOND)) == 7
    assert queue.length(3 * SECOND) == 0


def test_the_plan_lists_its_chunks(make_chunk: Any) -> None:
    for fusion, ids in ((replace, (2,)), (linear_blend, (1, 2))):
        queue = moving(make_chunk, fusion)
        queue.merge(make_chunk(1.0, np.arange(10.0), chunk_id=1), SECOND)
        queue.merge(make_chunk(1.5, np.arange(10.0), chunk_id=2), round(1.6 * SECOND))
        assert queue.chunk_ids(round(1.6 * SECOND)) == ids
        assert queue.chunk_ids(round(2.0 * SECOND)) == (2,)


def test_a_cleared_plan_stays_executed(make_chunk: Any) -> None:
    queue = ActionQueue(linear_blend)
    queue.merge(make_chunk(1.0, np.zeros(10)), SECOND)
    taken(queue, 1.5)
    queue.clear()
    assert taken(queue, 1.6) is None
    queue.merge(make_chunk(1.1, np.ones(10)), round(1.4 * SECOND))
    assert taken(queue, 1.5) is None
    assert taken(queue, 1.6) == 1.0


def test_the_next_chunk_is_fused_differently_once_and_the_old_plan_is_dropped(make_chunk: Any) -> None:
    queue = moving(make_chunk, temporal_ensemble)
    queue.merge(make_chunk(1.0, np.zeros(10), chunk_id=1), SECOND)
    queue.join_next_chunk_with(replace)
    assert taken(queue, 1.1) == 0.0
    queue.merge(make_chunk(1.1, np.ones(10), chunk_id=2), round(1.2 * SECOND))
    assert queue.chunk_ids(round(1.2 * SECOND)) == (2,)
    assert taken(queue, 1.2) == 1.0
    queue.merge(make_chunk(1.2, np.full(10, 2.0), chunk_id=3), round(1.3 * SECOND))
    assert taken(queue, 1.3) == pytest.approx(1.5, abs=0.01)


def test_an_ensemble_has_all_chunks_that_are_not_over(make_chunk: Any) -> None:
    queue = moving(make_chunk, temporal_ensemble)
    queue.settings = FusionSettings(ensemble_decay=0.0)
    for index in range(4):
        start_s = 1.0 + 0.1 * index
        queue.merge(
            make_chunk(start_s, np.full(4 + index, float(index)), chunk_id=index), round(start_s * SECOND)
        )
        assert taken(queue, start_s) is not None
    assert queue.chunk_ids(round(1.3 * SECOND)) == (1, 2, 3)
    assert taken(queue, 1.4) == pytest.approx(2.0)


def test_the_number_of_kept_chunks_is_bounded(make_chunk: Any) -> None:
    queue = moving(make_chunk, temporal_ensemble)
    for index in range(200):
        queue.merge(make_chunk(1.0 + index / 1000.0, np.zeros(60), chunk_id=index), round(1.2 * SECOND))
    assert queue.chunk_ids(round(1.2 * SECOND)) == tuple(range(150, 200))


def test_fusion_may_change_between_merges(make_chunk: Any) -> None:
    queue = moving(make_chunk, linear_blend)
    queue.merge(make_chunk(1.0, np.zeros(10)), SECOND)
    queue.fusion = replace
    queue.merge(make_chunk(1.1, np.ones(10)), round(1.2 * SECOND))
    assert taken(queue, 1.2) == 1.0


@each_fusion
@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.tuples(
            st.booleans(),  # a chunk arrives, or the control period comes
            st.floats(-0.1, 0.3),  # s since the previous event; negative: the clock was set back
            st.floats(0.0, 1.5),  # latency of the chunk, s
            st.integers(5_000_000, 60_000_000),  # step of the chunk, ns
        ),
        max_size=60,
    )
)
def test_every_action_is_taken_once_in_order_and_when_due(
    make_chunk: Any, fusion: Fusion, events: list[tuple[bool, float, float, int]]
) -> None:
    """All chunks agree that the position at a time is that time, so a replay or a shift would show."""
    now_s, values = 100.0, [100.0]
    queue = ActionQueue(fusion)
    queue.merge(make_chunk(now_s, [now_s, now_s + 0.1]), round(now_s * SECOND))
    assert taken(queue, now_s) == now_s
    for arrives, elapsed_s, latency_s, step_ns in events:
        now_s += elapsed_s
        if arrives:
            start_s = now_s - latency_s
            times_s = start_s + np.arange(30) * step_ns / SECOND
            try:
                queue.merge(make_chunk(start_s, times_s, step_duration_ns=step_ns), round(now_s * SECOND))
            except ChunkError:
                assert times_s[-1] < max(now_s, values[-1]) + 1e-6
        else:
            value = taken(queue, now_s)
            if value is not None:
                assert value == pytest.approx(now_s, abs=1e-6)
                assert value > values[-1]
                values.append(value)
