# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A motion is read between its knots by linear interpolation, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smolvla_ros.execution.trajectory import Trajectory, TrajectoryError


def trajectory(*knots: tuple[int, float]) -> Trajectory:
    times_ns, positions = zip(*knots, strict=True)
    return Trajectory(np.array(times_ns, np.int64), np.array(positions, np.float64)[:, None])


RAMP = trajectory((10, 1.0), (20, 2.0), (40, 6.0))


def knots(value: Trajectory) -> list[tuple[int, float]]:
    return list(zip(value.times_ns.tolist(), value.positions[:, 0].tolist(), strict=True))


@pytest.mark.parametrize(("now_ns", "position"), [(10, 1.0), (15, 1.5), (20, 2.0), (30, 4.0), (40, 6.0)])
def test_it_is_exact_at_knots_and_straight_between(now_ns: int, position: float) -> None:
    at = RAMP.at(now_ns)
    assert at is not None and at.tolist() == [position]


@pytest.mark.parametrize("now_ns", [9, 41])
def test_there_is_nothing_outside(now_ns: int) -> None:
    assert RAMP.at(now_ns) is None


def test_the_part_since_a_moment_begins_with_a_knot_there() -> None:
    assert knots(RAMP.since(15)) == [(15, 1.5), (20, 2.0), (40, 6.0)]
    assert knots(RAMP.since(20)) == [(20, 2.0), (40, 6.0)]
    assert knots(RAMP.since(40)) == [(40, 6.0)]
    assert RAMP.since(3) is RAMP


def test_the_part_until_a_moment_ends_with_a_knot_there() -> None:
    assert knots(RAMP.until(30)) == [(10, 1.0), (20, 2.0), (30, 4.0)]
    assert knots(RAMP.until(10)) == [(10, 1.0)]
    assert RAMP.until(99) is RAMP


def test_a_part_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TrajectoryError, match="too early"):
        RAMP.since(41)
    with pytest.raises(TrajectoryError, match="too late"):
        RAMP.until(9)


def test_even_steps_leave_out_a_rest_shorter_than_a_step() -> None:
    assert knots(RAMP.every(15)) == [(10, 1.0), (25, 3.0), (40, 6.0)]
    assert knots(RAMP.every(20)) == [(10, 1.0), (30, 4.0)]


def test_a_single_knot_is_a_motion_of_no_length() -> None:
    point = trajectory((10, 1.0))
    assert knots(point.every(5)) == [(10, 1.0)]
    assert point.at(10) is not None and point.at(11) is None


@pytest.mark.parametrize(
    ("times_ns", "shape"),
    [([], (0, 1)), ([1, 2], (3, 1)), ([1, 2], (2,)), ([1, 1], (2, 1)), ([2, 1], (2, 1))],
)
def test_knots_that_make_no_motion_are_refused(times_ns: list[int], shape: tuple[int, ...]) -> None:
    with pytest.raises(TrajectoryError):
        Trajectory(np.array(times_ns, np.int64), np.zeros(shape))


def test_huge_positions_do_not_overflow_between_knots() -> None:
    assert np.isfinite(trajectory((0, -1.7e308), (10, 1.7e308)).sample(np.arange(11))).all()


def test_real_stamps_lose_no_nanosecond() -> None:
    now_ns = 1_790_000_000_123_456_789
    value = trajectory((now_ns, 0.0), (now_ns + 33_333_333, 1.0))
    assert value.since(now_ns + 1).start_ns == now_ns + 1
    at = value.at(now_ns + 1)
    assert at is not None and at[0] == pytest.approx(1 / 33_333_333)


def test_a_chunk_ends_where_it_expires(make_chunk: Any) -> None:
    whole = Trajectory.from_chunk(make_chunk(2.0, [0.0, 1.0, 2.0]))
    assert whole.times_ns.tolist() == [2_000_000_000, 2_100_000_000, 2_200_000_000]
    cut = Trajectory.from_chunk(make_chunk(2.0, [0.0, 1.0, 2.0], expires_ns=2_150_000_000))
    assert cut.end_ns == 2_150_000_000 and cut.positions[-1, 0] == 1.5
