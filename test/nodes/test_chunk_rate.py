# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chunks that nobody asks for are due on a grid of times, for a task, and from something new."""

from __future__ import annotations

import pytest

from smolvla_ros.nodes.chunk_rate import ChunkRate

PATIENCE_S = 0.5
FIRST, SECOND = object(), object()


@pytest.fixture
def rate() -> ChunkRate:
    rate = ChunkRate(10.0)
    rate.task = "wipe the table"
    rate.begun(100.0, FIRST)
    return rate


def test_without_a_rate_or_a_task_none_is_due(rate: ChunkRate) -> None:
    assert ChunkRate(10.0).until_due_s(100.0, FIRST, PATIENCE_S) is None
    rate.task = ""
    assert rate.until_due_s(200.0, SECOND, PATIENCE_S) is None
    never = ChunkRate(0.0)
    never.task = "wipe the table"
    assert never.until_due_s(100.0, FIRST, PATIENCE_S) is None


def test_the_first_is_due_at_once() -> None:
    rate = ChunkRate(10.0)
    rate.task = "wipe the table"
    assert (rate.until_due_s(100.0, FIRST, PATIENCE_S) or 0.0) < 0.0


def test_the_next_are_due_on_a_grid_that_a_small_delay_does_not_shift(rate: ChunkRate) -> None:
    assert rate.until_due_s(100.0, SECOND, PATIENCE_S) == pytest.approx(0.1)
    rate.begun(100.13, SECOND)
    assert rate.until_due_s(100.13, FIRST, PATIENCE_S) == pytest.approx(0.07)


def test_after_a_chunk_that_was_a_period_late_the_next_keeps_its_distance(rate: ChunkRate) -> None:
    rate.begun(100.7, SECOND)
    assert rate.until_due_s(100.7, FIRST, PATIENCE_S) == pytest.approx(0.1)


def test_what_was_seen_before_is_looked_at_again_only_when_patience_is_over(rate: ChunkRate) -> None:
    assert rate.until_due_s(100.0, FIRST, PATIENCE_S) == pytest.approx(0.1 + PATIENCE_S)
