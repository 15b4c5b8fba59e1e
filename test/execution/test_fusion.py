# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every fusion promises, and what each one is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolvla_ros.execution.fusion import FUSIONS, Fusion, linear_blend, replace, weighted_average
from smolvla_ros.execution.trajectory import FloatArray, Trajectory

each_fusion = pytest.mark.parametrize("fuse", FUSIONS.values(), ids=FUSIONS.keys())
NOW_NS = 1_000


@st.composite
def plans(draw: st.DrawFn, covering_now: bool = False) -> Trajectory:
    """Of even steps, two joints, any phase; not over before now."""
    step_ns = draw(st.integers(1, 300))
    count = draw(st.integers(2, 12))
    latest = NOW_NS if covering_now else NOW_NS + 200
    start_ns = draw(st.integers(NOW_NS - (count - 1) * step_ns, latest))
    seed = draw(st.integers(0, 2**32 - 1))
    positions = np.random.default_rng(seed).normal(size=(count, 2))
    return Trajectory(start_ns + np.arange(count, dtype=np.int64) * step_ns, positions)


def moments(plan: Trajectory) -> FloatArray:
    """The plan read at each of its nanoseconds."""
    return plan.sample(np.arange(plan.start_ns, plan.end_ns + 1))


@each_fusion
@given(old=plans(), new=plans())
def test_nothing_before_now_is_returned_and_the_end_is_the_new_ones(
    fuse: Fusion, old: Trajectory, new: Trajectory
) -> None:
    fused = fuse(old, new, NOW_NS)
    assert fused.start_ns >= NOW_NS
    assert fused.end_ns == new.end_ns


@each_fusion
@given(old=plans(), new=plans())
def test_it_never_leaves_the_range_of_what_it_fuses(fuse: Fusion, old: Trajectory, new: Trajectory) -> None:
    fused = fuse(old, new, NOW_NS).positions
    both = np.vstack([old.positions, new.positions])
    assert (fused >= both.min(axis=0) - 1e-12).all()
    assert (fused <= both.max(axis=0) + 1e-12).all()


@each_fusion
@given(plan=plans(covering_now=True))
def test_equal_plans_fuse_to_themselves(fuse: Fusion, plan: Trajectory) -> None:
    fused = fuse(plan, plan, NOW_NS)
    assert fused.start_ns == NOW_NS
    np.testing.assert_allclose(moments(fused), moments(plan.since(NOW_NS)), atol=1e-12)


@each_fusion
@given(old=plans(), new=plans())
def test_it_changes_neither_of_the_two(fuse: Fusion, old: Trajectory, new: Trajectory) -> None:
    before = old.positions.copy(), new.positions.copy()
    fuse(old, new, NOW_NS)
    np.testing.assert_array_equal(old.positions, before[0])
    np.testing.assert_array_equal(new.positions, before[1])


@each_fusion
@given(new=plans())
def test_without_an_overlap_the_new_chunk_stands_alone(fuse: Fusion, new: Trajectory) -> None:
    past = Trajectory(np.array([NOW_NS - 50, NOW_NS - 1]), np.full((2, 2), 9.0))
    np.testing.assert_array_equal(fuse(past, new, NOW_NS).positions, new.since(NOW_NS).positions)


@given(old=plans(covering_now=True), new=plans())
def test_linear_blend_is_continuous_at_now(old: Trajectory, new: Trajectory) -> None:
    now, before = linear_blend(old, new, NOW_NS).at(NOW_NS), old.at(NOW_NS)
    assert now is not None and before is not None
    assert now.tolist() == before.tolist()


@given(old=plans(covering_now=True), new=plans(covering_now=True))
def test_linear_blend_is_the_new_plan_where_the_old_one_ends(old: Trajectory, new: Trajectory) -> None:
    fused = linear_blend(old, new, NOW_NS)
    behind = fused.times_ns[(fused.times_ns > old.end_ns) & (fused.times_ns > NOW_NS)]
    np.testing.assert_array_equal(fused.sample(behind), new.sample(behind))


def line(start_ns: int, step_ns: int, *positions: float) -> Trajectory:
    times_ns = start_ns + np.arange(len(positions), dtype=np.int64) * step_ns
    return Trajectory(times_ns, np.array(positions)[:, None])


def knots(plan: Trajectory) -> dict[int, float]:
    return dict(zip(plan.times_ns.tolist(), plan.positions[:, 0].tolist(), strict=True))


def test_replace_takes_the_new_plan_from_now_on() -> None:
    assert knots(replace(line(0, 10, 5.0, 5.0, 5.0), line(10, 10, 0.0, 1.0, 2.0), 15)) == {
        15: 0.5,
        20: 1.0,
        30: 2.0,
    }


def test_weighted_average_reads_the_old_plan_between_its_knots() -> None:
    fused = weighted_average(line(0, 20, 0.0, 10.0), line(5, 10, 0.0, 0.0, 0.0), 5)
    assert knots(fused) == {5: pytest.approx(0.3 * 2.5), 15: pytest.approx(0.3 * 7.5), 25: 0.0}


def test_weighted_average_is_the_new_plan_before_and_behind_the_old_one() -> None:
    fused = weighted_average(line(15, 10, 10.0, 10.0), line(0, 10, 0.0, 0.0, 0.0, 0.0, 0.0), 0)
    assert knots(fused) == {0: 0.0, 10: 0.0, 20: pytest.approx(3.0), 30: 0.0, 40: 0.0}


def test_linear_blend_moves_its_weight_evenly_from_old_to_new() -> None:
    fused = linear_blend(line(0, 40, 1.0, 1.0), line(0, 10, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), 0)
    assert knots(fused) == {0: 1.0, 10: 0.75, 20: 0.5, 30: 0.25, 40: 0.0, 50: 0.0}


def test_linear_blend_leaves_no_hole_before_a_chunk_that_begins_later() -> None:
    fused = linear_blend(line(0, 100, 1.0, 1.0), line(60, 10, 0.0, 0.0, 0.0), 50)
    assert fused.start_ns == 50
    assert knots(fused)[50] == 1.0


# Measured on lerobot 0.4.4, async_inference RobotClient._aggregate_action_queues with aggregate function
# weighted_average, first joint: (last executed time step, queue, incoming, queue afterwards).
LEROBOT_CASES = [
    (
        6,
        {5: 9.58003, 6: -16.33503, 7: -67.01943, 8: 35.40519, 9: 24.85115, 10: 2.50081, 11: 85.64732},
        {4: 102.28606, 5: -20.29988, 6: -90.42923, 7: -40.64491, 8: -0.67139}
        | {9: 4.76541, 10: -27.25242, 11: 72.62789, 12: -1.66314, 13: 65.89921},
        {7: -48.55727, 8: 10.15158, 9: 10.79113, 10: -18.32645, 11: 76.53372, 12: -1.66314, 13: 65.89921},
    ),
    (
        9,
        {10: 10.00223, 11: -66.88709, 12: -61.18551, 13: 36.69197, 14: 91.5005, 15: -37.50776, 16: -96.69802},
        {8: -54.28594, 9: 55.65554, 10: -14.07139, 11: -3.33737, 12: 77.65934, 13: -18.17747, 14: 10.81963},
        {10: -6.8493, 11: -22.40228, 12: 36.00588, 13: -1.71663, 14: 35.0239},
    ),
]


@pytest.mark.parametrize(("executed", "queue", "incoming", "result"), LEROBOT_CASES)
def test_weighted_average_agrees_with_lerobot_on_equal_grids(
    executed: int, queue: dict[int, float], incoming: dict[int, float], result: dict[int, float]
) -> None:
    old = line(min(queue) * 1_000, 1_000, *queue.values())
    new = line(min(incoming) * 1_000, 1_000, *incoming.values())
    fused = knots(weighted_average(old, new, executed * 1_000 + 1))
    assert {time // 1_000: at for time, at in fused.items() if time % 1_000 == 0} == pytest.approx(
        result, abs=2e-5
    )
