# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chunks without a request are due on a grid of times, for a task, and from new messages."""

from __future__ import annotations

import pytest

from smolvla_ros.nodes.chunk_schedule import ChunkSchedule

MAX_AGE_S = 0.5
FIRST, SECOND = object(), object()


@pytest.fixture
def rate() -> ChunkSchedule:
    rate = ChunkSchedule(10.0)
    rate.task = "wipe the table"
    rate.chunk_started(100.0, FIRST)
    return rate


def test_without_a_rate_or_a_task_no_chunk_is_due(rate: ChunkSchedule) -> None:
    assert ChunkSchedule(10.0).wait_s(100.0, FIRST, MAX_AGE_S) is None
    rate.task = ""
    assert rate.wait_s(200.0, SECOND, MAX_AGE_S) is None
    never = ChunkSchedule(0.0)
    never.task = "wipe the table"
    assert never.wait_s(100.0, FIRST, MAX_AGE_S) is None


def test_the_first_chunk_is_due_at_once() -> None:
    rate = ChunkSchedule(10.0)
    rate.task = "wipe the table"
    assert (rate.wait_s(100.0, FIRST, MAX_AGE_S) or 0.0) < 0.0


def test_chunks_are_due_on_a_grid_that_a_small_delay_does_not_shift(rate: ChunkSchedule) -> None:
    assert rate.wait_s(100.0, SECOND, MAX_AGE_S) == pytest.approx(0.1)
    rate.chunk_started(100.13, SECOND)
    assert rate.wait_s(100.13, FIRST, MAX_AGE_S) == pytest.approx(0.07)


def test_after_a_chunk_that_was_a_period_late_the_next_is_due_a_period_later(rate: ChunkSchedule) -> None:
    rate.chunk_started(100.7, SECOND)
    assert rate.wait_s(100.7, FIRST, MAX_AGE_S) == pytest.approx(0.1)


def test_the_same_messages_are_used_again_only_after_max_age(rate: ChunkSchedule) -> None:
    assert rate.wait_s(100.0, FIRST, MAX_AGE_S) == pytest.approx(0.1 + MAX_AGE_S)
