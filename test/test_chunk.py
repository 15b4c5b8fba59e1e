# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A chunk says when each of its actions is due, and is executed whole or not at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from smolvla_ros.chunk import ActionChunk, ChunkError

NAMES = ("pan", "lift")
SECOND = 1_000_000_000
AHEAD_NS = 50_000_000


def chunk(**fields: Any) -> ActionChunk:
    """Five actions, 0.1 s apart, observed at 10 s: the last one is due at 10.4 s."""
    values: dict[str, Any] = {
        "positions": np.zeros((5, 2)),
        "joint_names": NAMES,
        "observation_stamp_ns": 10 * SECOND,
        "step_duration_ns": SECOND // 10,
        "chunk_id": 7,
        "request_id": 1,
        "task": "pick",
    }
    return ActionChunk(**{**values, **fields})


def reason(value: ActionChunk, now_ns: int = 10 * SECOND) -> str:
    with pytest.raises(ChunkError, match="chunk 7") as caught:
        value.check(NAMES, now_ns, AHEAD_NS)
    return caught.value.reason


def test_actions_are_due_from_the_observation_on() -> None:
    assert chunk().times_ns.tolist() == [round(s * SECOND) for s in (10.0, 10.1, 10.2, 10.3, 10.4)]
    assert chunk().end_ns == round(10.4 * SECOND)
    assert chunk().duration_ns == round(0.4 * SECOND)


@pytest.mark.parametrize("now_ns", [10 * SECOND - AHEAD_NS, 10 * SECOND, round(10.4 * SECOND) - 1])
def test_a_good_chunk_is_fit_until_its_last_action(now_ns: int) -> None:
    chunk().check(NAMES, now_ns, AHEAD_NS)


@pytest.mark.parametrize("names", [("lift", "pan"), ("pan",), ("pan", "lift", "roll"), ()])
def test_joints_must_be_the_robots_in_its_order(names: tuple[str, ...]) -> None:
    assert reason(chunk(joint_names=names)) == "wrong_joints"


@pytest.mark.parametrize("shape", [(5, 3), (5, 1), (1, 2), (0, 2), (10,), (5, 2, 1)])
def test_positions_must_be_rows_of_all_joints_and_two_at_least(shape: tuple[int, ...]) -> None:
    assert reason(chunk(positions=np.zeros(shape))) == "wrong_width"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_one_position_that_is_no_number_spoils_it_and_is_named(number: float) -> None:
    positions = np.zeros((5, 2))
    positions[3, 1] = number
    assert reason(chunk(positions=positions)) == "not_finite"
    with pytest.raises(ChunkError, match=f"action 3 of lift is {number}"):
        chunk(positions=positions).check(NAMES, 10 * SECOND, AHEAD_NS)


@pytest.mark.parametrize("step_duration_ns", [0, -1])
def test_time_must_advance_from_action_to_action(step_duration_ns: int) -> None:
    assert reason(chunk(step_duration_ns=step_duration_ns)) == "step_duration"


def test_an_observation_that_has_not_been_is_refused() -> None:
    assert reason(chunk(), 10 * SECOND - AHEAD_NS - 1) == "from_the_future"


def test_it_expires_with_its_last_action_or_when_it_says_so() -> None:
    assert reason(chunk(), round(10.4 * SECOND)) == "expired"
    early = chunk(expires_ns=round(10.2 * SECOND))
    early.check(NAMES, round(10.2 * SECOND) - 1, AHEAD_NS)
    assert reason(early, round(10.2 * SECOND)) == "expired"
    assert reason(chunk(expires_ns=20 * SECOND), round(10.4 * SECOND)) == "expired"
