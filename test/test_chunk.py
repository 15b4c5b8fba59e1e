# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A chunk says when each of its actions is due, and is executed whole or not at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from smolvla_ros.chunk import ActionChunk, ChunkError, ChunkRequest, RequestReason, steps_until

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


def test_actions_wait_while_the_robot_stands_still_but_not_past_an_expiry_that_is_given() -> None:
    late_ns = 13 * SECOND
    assert reason(chunk(), late_ns) == "expired"
    chunk().check(NAMES, late_ns, AHEAD_NS, held_ns=3 * SECOND)
    with pytest.raises(ChunkError, match="expired 0.500 s ago"):
        chunk(expires_ns=round(12.5 * SECOND)).check(NAMES, late_ns, AHEAD_NS, held_ns=3 * SECOND)


def test_ticks_are_no_radians() -> None:
    positions = np.zeros((5, 2))
    positions[2, 1] = 2048.0
    value = chunk(positions=positions)
    assert reason(value) == "implausible"
    with pytest.raises(ChunkError, match="action 2 of lift is 2048 rad; are these radians"):
        value.check(NAMES, 10 * SECOND, AHEAD_NS)


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


STEP_NS = SECOND // 10


def request(rows: int = 8, **fields: Any) -> ChunkRequest:
    """What is left of a plan from 10 s on: a ramp of one unit a row, and one twice as steep."""
    ramp = np.arange(float(rows))[:, None] * [1.0, 2.0]
    values: dict[str, Any] = {"prefix": ramp, "prefix_stamp_ns": 10 * SECOND, "joint_names": NAMES}
    return ChunkRequest(10 * SECOND, 1, "pick", RequestReason.THRESHOLD, **{**values, **fields})


@pytest.mark.parametrize(
    "shift_ns", [-250_000_000, -STEP_NS, -1, 0, 1, 30_000_000, STEP_NS, 333_333_333, 700_000_000]
)
def test_the_prefix_is_read_at_the_moments_of_the_new_chunk(shift_ns: int) -> None:
    rows = request().prefix_on_grid(10 * SECOND + shift_ns, STEP_NS)
    due = (shift_ns + np.arange(len(rows)) * STEP_NS) / STEP_NS  # in rows of the prefix
    assert rows[:, 0] == pytest.approx(np.maximum(due, 0.0), abs=1e-9)
    assert rows[:, 1] == pytest.approx(2 * rows[:, 0])
    assert due[-1] <= 7.0 < due[-1] + 1.0  # up to its end, and nothing after it


def test_a_prefix_that_has_ended_or_never_was_has_no_rows() -> None:
    assert request().prefix_on_grid(10 * SECOND + 7 * STEP_NS + 1, STEP_NS).shape == (0, 2)
    assert request().prefix_on_grid(99 * SECOND, STEP_NS).shape == (0, 2)
    assert request(rows=0).prefix_on_grid(10 * SECOND, STEP_NS).shape == (0, 2)
    assert request(rows=1).prefix_on_grid(10 * SECOND, STEP_NS).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("effect_ns", "steps"), [(-1, 0), (0, 0), (1, 1), (STEP_NS, 1), (STEP_NS + 1, 2), (10 * STEP_NS, 10)]
)
def test_the_actions_due_before_a_moment_are_counted(effect_ns: int, steps: int) -> None:
    assert steps_until(10 * SECOND + effect_ns, 10 * SECOND, STEP_NS) == steps
