# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A trajectory is interpolated with continuous position, velocity and acceleration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolvla_ros.execution.trajectory import Trajectory, TrajectoryError


def trajectory(*knots: tuple[int, float]) -> Trajectory:
    times_ns, positions = zip(*knots, strict=True)
    return Trajectory.through(np.array(times_ns, np.int64), np.array(positions, np.float64)[:, None])


RAMP = trajectory((10, 1.0), (20, 2.0), (40, 4.0))


def knots(value: Trajectory) -> list[tuple[int, float]]:
    return list(zip(value.times_ns.tolist(), value.positions[:, 0].tolist(), strict=True))


@pytest.mark.parametrize(("now_ns", "position"), [(10, 1.0), (15, 1.5), (20, 2.0), (30, 3.0), (40, 4.0)])
def test_a_straight_motion_is_read_straight(now_ns: int, position: float) -> None:
    at = RAMP.at(now_ns)
    assert at is not None and at.tolist() == [pytest.approx(position, abs=1e-15)]


@st.composite
def motions(draw: st.DrawFn) -> Trajectory:
    """One joint through 2 to 10 positions within 1 rad, in steps of 1 to 200 ms."""
    steps = draw(st.lists(st.integers(1, 200), min_size=1, max_size=9))
    positions = draw(st.lists(st.floats(-1.0, 1.0), min_size=len(steps) + 1, max_size=len(steps) + 1))
    return trajectory(*zip(np.cumsum([0, *steps]) * 1_000_000, positions, strict=True))


@given(motion=motions())
def test_it_is_exact_at_its_knots(motion: Trajectory) -> None:
    states = motion.sample(motion.times_ns)
    np.testing.assert_array_equal(states[0], motion.positions)
    np.testing.assert_allclose(states, motion.states, rtol=1e-12, atol=1e-9)


@given(motion=motions())
def test_position_velocity_and_acceleration_are_continuous_at_knots(motion: Trajectory) -> None:
    inner_ns = motion.times_ns[1:-1]
    before, at = motion.sample(inner_ns - 1), motion.sample(inner_ns)
    scale = np.array([1.0, 1e3, 1e6])[:, None, None]  # rad, rad/s, rad/s^2 that steps of 1 ms make of 1 rad
    assert (np.abs(at - before) < 1e-3 * scale).all()


@given(motion=motions())
def test_the_states_are_the_derivatives_of_the_position(motion: Trajectory) -> None:
    at_ns = np.arange(motion.start_ns + 1_000, motion.end_ns - 1_000, 77_777)
    later, earlier = motion.sample(at_ns + 1_000), motion.sample(at_ns - 1_000)
    slopes = (later[:2] - earlier[:2]) / 2e-6
    for order, scale in ((0, 1e3), (1, 1e6)):
        np.testing.assert_allclose(slopes[order], motion.sample(at_ns)[order + 1], atol=3e-3 * scale)


@given(positions=st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=10))
def test_even_steps_overshoot_by_an_eighth_of_the_range_at_most(positions: list[float]) -> None:
    motion = trajectory(*((33_333_333 * index, at) for index, at in enumerate(positions)))
    values = motion.sample(np.arange(0, motion.end_ns, 1_000_001))[0]
    range_rad = max(positions) - min(positions)
    assert values.max() <= max(positions) + 0.125 * range_rad + 1e-9
    assert values.min() >= min(positions) - 0.125 * range_rad - 1e-9


@given(motion=motions(), share=st.floats(0.0, 1.0))
def test_inserting_a_knot_does_not_change_the_motion(motion: Trajectory, share: float) -> None:
    cut_ns = round(share * motion.end_ns)
    at_ns = np.arange(cut_ns, motion.end_ns + 1, 333_333)
    np.testing.assert_allclose(motion.since(cut_ns).sample(at_ns)[0], motion.sample(at_ns)[0], atol=1e-9)
    at_ns = np.arange(0, cut_ns + 1, 333_333)
    np.testing.assert_allclose(motion.until(cut_ns).sample(at_ns)[0], motion.sample(at_ns)[0], atol=1e-9)


@pytest.mark.parametrize("now_ns", [9, 41])
def test_there_are_no_positions_outside(now_ns: int) -> None:
    assert RAMP.at(now_ns) is None


def test_the_part_since_a_moment_begins_with_a_knot_there() -> None:
    assert knots(RAMP.since(15)) == [(15, 1.5), (20, 2.0), (40, 4.0)]
    assert knots(RAMP.since(20)) == [(20, 2.0), (40, 4.0)]
    assert knots(RAMP.since(40)) == [(40, 4.0)]
    assert RAMP.since(3) is RAMP


def test_the_part_until_a_moment_ends_with_a_knot_there() -> None:
    assert knots(RAMP.until(30)) == [(10, 1.0), (20, 2.0), (30, 3.0)]
    assert knots(RAMP.until(10)) == [(10, 1.0)]
    assert RAMP.until(99) is RAMP


def test_a_part_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TrajectoryError, match="too early"):
        RAMP.since(41)
    with pytest.raises(TrajectoryError, match="too late"):
        RAMP.until(9)


def test_even_steps_leave_out_a_rest_shorter_than_a_step() -> None:
    assert knots(RAMP.every(15)) == [(10, 1.0), (25, 2.5), (40, 4.0)]
    assert knots(RAMP.every(20)) == [(10, 1.0), (30, 3.0)]


def test_a_single_knot_is_a_motion_of_no_length() -> None:
    point = trajectory((10, 1.0))
    assert knots(point.every(5)) == [(10, 1.0)]
    assert point.at(10) is not None and point.at(11) is None


def test_outside_it_rests_at_the_nearest_end() -> None:
    states = RAMP.sample(np.array([0, 99]))
    assert states[0, :, 0].tolist() == [1.0, 4.0]
    assert not states[1:].any()


@pytest.mark.parametrize(
    ("times_ns", "shape"),
    [([], (0, 1)), ([1, 2], (3, 1)), ([1, 2], (2,)), ([1, 1], (2, 1)), ([2, 1], (2, 1)), ([1, 3, 3], (3, 1))],
)
def test_invalid_knots_are_rejected(times_ns: list[int], shape: tuple[int, ...]) -> None:
    with pytest.raises(TrajectoryError):
        Trajectory.through(np.array(times_ns, np.int64), np.zeros(shape))


def test_states_are_positions_velocities_and_accelerations() -> None:
    with pytest.raises(TrajectoryError, match=r"states of shape \(2, 2, 1\)"):
        Trajectory(np.array([1, 2]), np.zeros((2, 2, 1)))


def test_knots_a_nanosecond_apart_keep_accelerations_bounded() -> None:
    wave = trajectory(*((33_333_333 * index, np.sin(index / 10.0)) for index in range(20)))
    cut_ns = 100_000_000
    for shift_ns in (1, 2, 3):
        wave = Trajectory(
            np.union1d(wave.times_ns, [cut_ns]), wave.sample(np.union1d(wave.times_ns, [cut_ns]))
        )
        cut_ns += shift_ns
    at_ns = np.arange(99_999_990, 100_000_020)
    assert np.ptp(wave.sample(at_ns)[2]) < 1e-3


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
    assert cut.end_ns == 2_150_000_000 and cut.positions[-1, 0] == pytest.approx(1.5)


def test_a_chunk_may_be_due_later(make_chunk: Any) -> None:
    late = Trajectory.from_chunk(make_chunk(2.0, [0.0, 1.0, 2.0], expires_ns=2_350_000_000), 200_000_000)
    assert (late.start_ns, late.end_ns) == (2_200_000_000, 2_350_000_000)
