# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Properties of all fusions, and values of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from smolvla_ros.arrays import FloatArray
from smolvla_ros.execution.fusion import (
    FUSIONS,
    Fusion,
    FusionInput,
    FusionSettings,
    average,
    conservative,
    linear_blend,
    offset_fade,
    replace,
    smooth,
    temporal_ensemble,
    weighted_average,
)
from smolvla_ros.execution.trajectory import Trajectory

AVERAGES = {function.__name__: function for function in (weighted_average, average, conservative)}
CONVEX = {
    "replace": replace,
    "linear_blend": linear_blend,
    "temporal_ensemble": temporal_ensemble,
    **AVERAGES,
}
CONTINUOUS = {"linear_blend": linear_blend, "offset_fade": offset_fade, "smooth": smooth}
MS = 1_000_000
NOW_NS = 1_000 * MS
NOW = np.array([NOW_NS])
GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "aggregation.json"


def each(fusions: dict[str, Fusion]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Check a property for all of `fusions` on each example: to make the example takes longer than to fuse it."""

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        def check_each(**example: Any) -> None:
            for name, fuse in fusions.items():
                note(name)
                check(fuse, **example)

        check_each.__name__ = check.__name__
        return check_each

    return decorate


@st.composite
def plans(draw: st.DrawFn, covering_now: bool = False) -> Trajectory:
    """Of even steps, two joints, any phase; not over before now."""
    step_ns = draw(st.integers(1 * MS, 300 * MS))
    count = draw(st.integers(2, 12))
    latest = NOW_NS if covering_now else NOW_NS + 200 * MS
    start_ns = draw(st.integers(NOW_NS - (count - 1) * step_ns, latest))
    seed = draw(st.integers(0, 2**32 - 1))
    positions = np.random.default_rng(seed).normal(size=(count, 2))
    return Trajectory.through(start_ns + np.arange(count, dtype=np.int64) * step_ns, positions)


@st.composite
def fusion_inputs(draw: st.DrawFn, covering_now: bool = False, equal: bool = False) -> FusionInput:
    """An old plan and up to three chunks."""
    old = draw(plans(covering_now))
    chunks = (old,) if equal else tuple(draw(st.lists(plans(covering_now), min_size=1, max_size=3)))
    settings = FusionSettings(draw(st.floats(0.05, 3.0)), draw(st.floats(-3.0, 3.0)))
    return FusionInput(old, chunks, NOW_NS, settings)


@given(inputs=fusion_inputs())
@each(dict(FUSIONS))
def test_nothing_before_now_is_returned_and_the_end_is_the_new_ones(
    fuse: Fusion, inputs: FusionInput
) -> None:
    fused = fuse(inputs)
    assert fused.start_ns >= NOW_NS
    assert fused.end_ns == inputs.new.end_ns
    assert np.isfinite(fused.states).all()


@given(inputs=fusion_inputs())
@each(CONVEX)
def test_a_mean_stays_between_what_it_is_made_of(fuse: Fusion, inputs: FusionInput) -> None:
    fused = fuse(inputs)
    parts = np.stack([plan.sample(fused.times_ns)[0] for plan in (inputs.old, *inputs.chunks)])
    assert (fused.positions >= parts.min(axis=0) - 1e-12).all()
    assert (fused.positions <= parts.max(axis=0) + 1e-12).all()


@given(inputs=fusion_inputs(covering_now=True))
def test_an_offset_is_never_larger_than_at_the_seam(inputs: FusionInput) -> None:
    fused = offset_fade(inputs)
    offset = np.abs(inputs.old.sample(NOW) - inputs.new.sample(NOW))[0]
    assert (np.abs(fused.positions - inputs.new.sample(fused.times_ns)[0]) <= offset + 1e-9).all()


@given(inputs=fusion_inputs(covering_now=True))
def test_smooth_keeps_its_stated_bound_to_both_plans(inputs: FusionInput) -> None:
    fused, end = smooth(inputs), np.array([min(inputs.old.end_ns, inputs.fade_end_ns)])
    old, new = inputs.old.sample(fused.times_ns)[0], inputs.new.sample(fused.times_ns)[0]
    both = fused.times_ns <= end[0]
    assert (fused.positions >= np.minimum(old, new) - 1e-9)[both].all()
    assert (fused.positions <= np.maximum(old, new) + 1e-9)[both].all()
    p, v, a = np.abs(inputs.old.sample(end) - inputs.new.sample(end))[:, 0]
    fade_s = inputs.settings.fade_s
    bound = p + 0.2 * v * fade_s + 0.018 * a * fade_s**2
    assert (np.abs(fused.positions - new) <= bound * (1.0 + 1e-9) + 1e-9)[~both].all()


@given(inputs=fusion_inputs(covering_now=True, equal=True))
@each(dict(FUSIONS))
def test_equal_plans_fuse_to_themselves(fuse: Fusion, inputs: FusionInput) -> None:
    fused = fuse(inputs)
    assert fused.start_ns == NOW_NS
    at_ns = np.linspace(NOW_NS, inputs.new.end_ns, 200).astype(np.int64)
    np.testing.assert_allclose(fused.sample(at_ns)[0], inputs.new.sample(at_ns)[0], atol=1e-9)


@given(inputs=fusion_inputs())
@each(dict(FUSIONS))
def test_it_changes_nothing_that_it_was_given(fuse: Fusion, inputs: FusionInput) -> None:
    before = [plan.states.copy() for plan in (inputs.old, *inputs.chunks)]
    fuse(inputs)
    for plan, states in zip((inputs.old, *inputs.chunks), before, strict=True):
        np.testing.assert_array_equal(plan.states, states)


@given(new=plans())
@each(dict(FUSIONS))
def test_without_an_overlap_the_new_chunk_stands_alone(fuse: Fusion, new: Trajectory) -> None:
    past = Trajectory.through(np.array([NOW_NS - 50, NOW_NS - 1]), np.full((2, 2), 9.0))
    np.testing.assert_allclose(
        fuse(FusionInput(past, (new,), NOW_NS)).states, new.since(NOW_NS).states, atol=1e-12
    )


@given(inputs=fusion_inputs(covering_now=True))
@each(CONTINUOUS)
def test_the_position_is_continuous_at_the_seam(fuse: Fusion, inputs: FusionInput) -> None:
    if inputs.new.end_ns == NOW_NS:  # nothing left to fade in
        return
    fused = fuse(inputs)
    assert fused.start_ns == NOW_NS
    np.testing.assert_allclose(fused.positions[0], inputs.old.sample(NOW)[0, 0], atol=1e-12)


@given(inputs=fusion_inputs(covering_now=True))
def test_smooth_is_continuous_in_velocity_and_acceleration_too(inputs: FusionInput) -> None:
    if inputs.new.end_ns == NOW_NS:
        return
    np.testing.assert_allclose(
        smooth(inputs).states[:, 0], inputs.old.sample(NOW)[:, 0], rtol=1e-9, atol=1e-9
    )


@given(inputs=fusion_inputs(covering_now=True))
@each({"offset_fade": offset_fade, "smooth": smooth})
def test_after_the_fade_the_new_chunk_is_followed_exactly(fuse: Fusion, inputs: FusionInput) -> None:
    fused, fade_ns = fuse(inputs), round(inputs.settings.fade_s * 1e9)
    after = fused.times_ns >= NOW_NS + fade_ns
    np.testing.assert_allclose(
        fused.states[:, after], inputs.new.sample(fused.times_ns[after]), rtol=1e-9, atol=1e-6
    )


@given(inputs=fusion_inputs(covering_now=True))
def test_linear_blend_is_the_new_plan_where_the_old_one_ends(inputs: FusionInput) -> None:
    fused = linear_blend(inputs)
    behind = fused.times_ns[(fused.times_ns > inputs.old.end_ns) & (fused.times_ns > NOW_NS)]
    np.testing.assert_array_equal(fused.sample(behind)[0], inputs.new.sample(behind)[0])


@given(old=plans(covering_now=True), new=plans(covering_now=True))
def test_the_average_of_two_depends_on_no_order(old: Trajectory, new: Trajectory) -> None:
    one, other = average(FusionInput(old, (new,), NOW_NS)), average(FusionInput(new, (old,), NOW_NS))
    both_ns = np.intersect1d(one.times_ns, other.times_ns)
    np.testing.assert_allclose(one.sample(both_ns), other.sample(both_ns), rtol=1e-12, atol=1e-12)


@given(inputs=fusion_inputs(covering_now=True))
def test_an_ensemble_without_decay_depends_on_no_order(inputs: FusionInput) -> None:
    means = [
        temporal_ensemble(
            FusionInput(inputs.old, (*order, inputs.new), NOW_NS, FusionSettings(ensemble_decay=0.0))
        )
        for order in permutations(inputs.chunks[:-1])
    ]
    for mean in means:
        np.testing.assert_allclose(mean.states, means[0].states, rtol=1e-9, atol=1e-9)


def test_an_ensemble_weighs_by_age_among_the_chunks_that_cover_a_moment() -> None:
    first, second, third = line(0, 10, 1.0, 1.0), line(0, 10, *[2.0] * 4), line(0, 10, *[4.0] * 6)
    fused = temporal_ensemble(
        FusionInput(first, (first, second, third), 0, FusionSettings(ensemble_decay=np.log(2.0)))
    )
    assert knots(fused) == pytest.approx(
        {0: (4 + 4 + 4) / 7, 10: 12 / 7, 20: (4 + 4) / 3, 30: 8 / 3, 40: 4.0, 50: 4.0}
    )


def line(start_ns: int, step_ns: int, *positions: float) -> Trajectory:
    times_ns = start_ns + np.arange(len(positions), dtype=np.int64) * step_ns
    return Trajectory.through(times_ns, np.array(positions)[:, None])


def knots(plan: Trajectory) -> dict[int, float]:
    return dict(zip(plan.times_ns.tolist(), plan.positions[:, 0].tolist(), strict=True))


def fused(fuse: Fusion, old: Trajectory, new: Trajectory, now_ns: int) -> dict[int, float]:
    return knots(fuse(FusionInput(old, (new,), now_ns)))


def test_replace_takes_the_new_plan_from_now_on() -> None:
    old, new = line(0, 10, 5.0, 5.0, 5.0), line(10, 10, 0.0, 1.0, 2.0)
    assert fused(replace, old, new, 15) == pytest.approx({15: 0.5, 20: 1.0, 30: 2.0})


def test_weighted_average_reads_the_old_plan_between_its_knots() -> None:
    values = fused(weighted_average, line(5, 10, 0.0, 1.0, 2.0, 3.0), line(0, 10, 0.0, 0.0, 0.0, 0.0), 10)
    assert values == pytest.approx({10: 0.3 * 0.5, 20: 0.3 * 1.5, 30: 0.3 * 2.5})


def test_weighted_average_is_the_new_plan_before_and_behind_the_old_one() -> None:
    values = fused(weighted_average, line(15, 10, 10.0, 10.0), line(0, 10, 0.0, 0.0, 0.0, 0.0, 0.0), 0)
    assert values == pytest.approx({0: 0.0, 10: 0.0, 20: 3.0, 30: 0.0, 40: 0.0})


def test_linear_blend_moves_its_weight_evenly_from_old_to_new() -> None:
    values = fused(linear_blend, line(0, 40, 1.0, 1.0), line(0, 10, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), 0)
    assert values == {0: 1.0, 10: 0.75, 20: 0.5, 30: 0.25, 40: 0.0, 50: 0.0}


@pytest.mark.parametrize("fuse", CONTINUOUS.values(), ids=CONTINUOUS.keys())
def test_there_is_no_gap_before_a_chunk_that_starts_later(fuse: Fusion) -> None:
    values = fused(fuse, line(0, 100, 1.0, 1.0), line(60, 10, 0.0, 0.0, 0.0), 50)
    assert values[50] == 1.0 and min(values) == 50


def at_steps(pairs: list[list[Any]]) -> tuple[list[int], FloatArray]:
    steps, actions = zip(*pairs, strict=True)
    return list(steps), np.array(actions)


@pytest.mark.parametrize("case", json.loads(GOLDEN.read_text()), ids=lambda case: case["function"])
def test_on_equal_grids_the_averages_are_those_of_lerobot(case: dict[str, Any]) -> None:
    """LeRobot 0.4.4, async_inference: queue and incoming chunk by time step, and the queue afterwards."""
    step_ns = 33_333_333
    old, new = (
        Trajectory.through(np.array(steps) * step_ns, actions)
        for steps, actions in (at_steps(case["queue"]), at_steps(case["incoming"]))
    )
    function = {**AVERAGES, "latest_only": replace}[case["function"]]
    plan = function(FusionInput(old, (new,), case["latest_executed_timestep"] * step_ns + 1))
    steps, actions = at_steps(case["result"])
    np.testing.assert_allclose(plan.sample(np.array(steps) * step_ns)[0], actions, rtol=1e-6, atol=1e-5)
    assert plan.end_ns == max(steps) * step_ns
