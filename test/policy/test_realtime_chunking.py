# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A chunk continues the previous one that is passed, with the values of the reference (test/data/golden)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from smolvla_ros.arrays import Float32Array
from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.checkpoint.files import CheckpointError
from smolvla_ros.policy.guidance_settings import SCHEDULES, GuidanceSettings
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.smolvla.realtime_chunking import (
    Guidance,
    guidance_strengths,
    prefix_weights,
)

from ..package_files import GOLDEN

CASES = {
    case["name"]: case for case in json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))["cases"]
}
GOLDEN_RTC = json.loads((GOLDEN / "rtc_cases.json").read_text(encoding="utf-8"))
RTC_CASES = {case["name"]: case for case in GOLDEN_RTC["cases"]}
RUNS = [(name, mode) for name, case in RTC_CASES.items() for mode in case["modes"]]
TIMES = [1.0 - step / 10 for step in range(10)]

Load = Callable[..., SmolVLA]
Tensors = Mapping[str, torch.Tensor]


@pytest.fixture(scope="module")
def rtc_tensors() -> Tensors:
    return load_file(GOLDEN / "rtc_cases.safetensors")


def guided(policy: SmolVLA, case: Mapping[str, Any], tensors: Tensors, rtc_tensors: Tensors) -> Float32Array:
    base = CASES[case["base_case"]]
    prefix = None
    if case["prefix"]:
        prefix = policy.processors.action.unnormalize(rtc_tensors[case["prefix"]][0]).numpy()
    return policy.predict_chunk(
        {
            key.removeprefix("observation.images."): tensors[name].numpy()
            for key, name in base["images"].items()
        },
        tensors[base["state"]].numpy(),
        base["task"],
        noise=tensors[base["noise"]].numpy(),
        prefix=prefix,
        inference_delay=case["inference_delay"],
        execution_horizon=case["execution_horizon"],
        schedule=case["schedule"],
        max_guidance_weight=case["max_guidance_weight"],
    )


@pytest.mark.parametrize(("name", "mode"), RUNS)
def test_guided_chunks_are_those_of_the_reference(
    name: str, mode: str, load: Load, tensors: Tensors, rtc_tensors: Tensors
) -> None:
    case = RTC_CASES[name]
    own = {"enabled": True, "execution_horizon": case["config_execution_horizon"]}
    policy = load("float32" if mode == "fp32" else "native", config={"rtc_config": own})
    actions = guided(policy, case, tensors, rtc_tensors)
    std = policy.processors.action.second.numpy()  # tolerances are in standard deviations
    error = np.abs(actions - rtc_tensors[f"{name}.{mode}.action"][0].numpy()) / std
    if mode == "fp32":
        assert error.max() < 1e-4
    else:
        assert error.max() < 0.2
        assert error.mean() < 0.03


@pytest.mark.parametrize(
    "case", GOLDEN_RTC["prefix_weights"], ids=lambda c: f"{c['schedule']}-{c['start']}-{c['end']}"
)
def test_weights_are_those_of_the_reference(case: Mapping[str, Any]) -> None:
    weights = prefix_weights(case["schedule"], case["start"], case["end"], case["total"])
    assert weights.tolist() == pytest.approx(case["weights"], abs=1e-7)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 8), (4, 10), (9, 9), (30, 12), (2, 20)])
def test_weights_are_1_up_to_the_delay_and_0_from_the_horizon_on(schedule: str, start: int, end: int) -> None:
    weights = prefix_weights(schedule, start, end, 20)
    assert weights.dtype == torch.float32 and weights.shape == (20,)
    assert (weights[: min(start, end)] == 1).all() and (weights[end:] == 0).all()
    assert (weights.diff() <= 0).all() and (weights >= 0).all()


def test_the_guidance_strength_is_bounded_at_both_ends_of_the_flow() -> None:
    strengths = guidance_strengths([1.0, 0.9, 0.5, 0.1, 0.0], 10.0)
    assert strengths.tolist() == pytest.approx([10.0, 9.1111, 2.0, 9.1111, 10.0], abs=1e-3)
    assert guidance_strengths([1.0, 0.5], 1.5).tolist() == [1.5, 1.5]


def towards(previous: torch.Tensor, **settings: Any) -> Guidance:
    return Guidance.towards(previous, GuidanceSettings(**settings), 50, 32, TIMES)


def test_a_constant_flow_is_corrected_to_the_previous_plan_by_the_weights() -> None:
    previous = torch.full((20, 6), 0.7)
    guidance = towards(previous, inference_delay=4, execution_horizon=10)
    x = torch.zeros(1, 50, 32)
    for step in range(10):
        x = x - 0.1 * guidance.corrected_velocity(torch.zeros_like(x), x, step)
    assert torch.allclose(x[0, :4, :6], previous[:4], atol=1e-3)
    assert (x[0, 4:10, :6].diff(dim=0) < 0).all()
    assert (x[0, 10:] == 0).all() and (x[0, :, 6:] == 0).all()


def test_a_previous_plan_longer_than_a_chunk_is_cut_and_a_short_one_ends_the_horizon() -> None:
    rows = torch.arange(60.0)[:, None].expand(60, 6)
    long, whole = (towards(given, execution_horizon=60, schedule="ones") for given in (rows, rows[:50]))
    assert torch.equal(long.previous_actions, whole.previous_actions) and torch.equal(
        long.weights, whole.weights
    )
    short = towards(rows[:5], execution_horizon=10, schedule="ones")
    assert short.previous_actions.shape == (1, 50, 32) and short.weights.sum() == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inference_delay": -1}, "inference_delay is -1"),
        ({"execution_horizon": 0}, "execution_horizon is 0"),
        ({"schedule": "EXPONENTIAL"}, "'EXPONENTIAL', expected one of zeros, ones, linear, exp"),
        ({"max_weight": float("nan")}, "max_guidance_weight is nan"),
        ({"max_weight": -1.0}, "max_guidance_weight is -1.0"),
    ],
)
def test_invalid_settings_are_rejected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        GuidanceSettings(**settings)


@pytest.mark.parametrize(
    "nothing",
    [
        {"prefix": None, "inference_delay": 4},
        {"prefix": np.zeros((0, 6)), "inference_delay": 4},
        {"prefix": np.ones((30, 6)), "inference_delay": 4, "max_guidance_weight": 0.0},
        {"prefix": np.ones((30, 6)), "inference_delay": 0, "schedule": "zeros"},
    ],
    ids=["no previous", "an empty one", "no weight", "zeros from the start"],
)
def test_without_a_previous_plan_the_chunk_is_not_guided(
    nothing: dict[str, Any], policy: SmolVLA, observation: dict[str, Any]
) -> None:
    plain = policy.predict_chunk(**observation, seed=1)
    assert np.array_equal(policy.predict_chunk(**observation, seed=1, **nothing), plain)


def test_a_guided_chunk_continues_the_previous_plan(policy: SmolVLA, observation: dict[str, Any]) -> None:
    std = policy.processors.action.second.numpy()
    before = policy.predict_chunk(**observation, seed=1)
    plain = policy.predict_chunk(**observation, seed=2)
    after = policy.predict_chunk(**observation, seed=2, prefix=before[20:], inference_delay=4)
    gap, guided_gap = (np.abs((chunk[:4] - before[20:24]) / std).max() for chunk in (plain, after))
    assert guided_gap < 0.3 * gap


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        (np.zeros((30, 5)), r"shape \(30, 5\).*rows of 6 numbers"),
        (np.zeros(6), r"shape \(6,\)"),
        (np.full((2, 6), np.nan), "nan in row 0, column 0"),
        (np.full((2, 6), "a"), "<U1"),
    ],
)
def test_a_previous_plan_of_another_robot_is_refused(
    prefix: Any, message: str, policy: SmolVLA, observation: dict[str, Any]
) -> None:
    with pytest.raises(PolicyError, match=message):
        policy.predict_chunk(**observation, prefix=prefix)


def test_the_checkpoints_own_settings_are_used(load: Load) -> None:
    own = {"execution_horizon": 7, "prefix_attention_schedule": "LINEAR", "max_guidance_weight": 3.0}
    assert load(config={"rtc_config": own}).config.guidance == GuidanceSettings(0, 7, "linear", 3.0)


def test_without_own_settings_or_with_senseless_ones(policy: SmolVLA, load: Load) -> None:
    assert policy.config.guidance == GuidanceSettings(0, 10, "exp", 10.0)
    with pytest.raises(CheckpointError, match="rtc_config: execution_horizon is 0"):
        load(config={"rtc_config": {"execution_horizon": 0}})
