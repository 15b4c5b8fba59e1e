# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pre- and postprocessing: images, tokens and normalisation."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from smolvla_ros.feature_statistics import MODE_STATISTICS
from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.checkpoint.processing import Normalizer, fit_image, resize_with_pad

from ..package_files import GOLDEN

UNITS = json.loads((GOLDEN / "unit_cases.json").read_text())


@pytest.mark.parametrize(
    "case", UNITS["normalization"], ids=lambda case: f"{case['stats_name']}-{case['mode']}"
)
def test_normalisation_is_that_of_the_reference(case: dict[str, Any]) -> None:
    statistics = [torch.tensor(case["stats"][name]) for name in MODE_STATISTICS[case["mode"]]]
    first, second = statistics or [torch.zeros(0), torch.zeros(0)]
    normalizer = Normalizer(case["mode"], case["eps"], first, second)
    for there, raw, result in (
        (normalizer.normalize, "raw", "normalized"),
        (normalizer.unnormalize, "model_output", "unnormalized"),
    ):
        torch.testing.assert_close(
            there(torch.tensor(case[raw])), torch.tensor(case[result]), rtol=1e-6, atol=1e-6
        )


def test_resized_image_is_that_of_the_reference(tensors: Mapping[str, torch.Tensor]) -> None:
    resized = resize_with_pad(tensors["unit.resize.in"], width=64, height=48)
    torch.testing.assert_close(resized, tensors["unit.resize.out"], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "case", UNITS["resize_with_pad"], ids=lambda case: "x".join(map(str, case["image_hw"]))
)
def test_padding_lies_where_the_reference_puts_it(case: dict[str, Any]) -> None:
    height, width = case["target_hw"]
    resized = resize_with_pad(torch.ones(1, 3, *case["image_hw"]), width, height)[0, 0]
    assert list(resized.shape) == case["out_hw"]
    expected = torch.ones(height, width)
    expected[: case["pad_top"]] = 0
    expected[:, : case["pad_left"]] = 0
    torch.testing.assert_close(resized, expected)


def test_padding_is_black_and_white_is_one() -> None:
    fitted = fit_image(torch.full((240, 320, 3), 255, dtype=torch.uint8), 64)
    assert fitted.shape == (1, 3, 64, 64)
    assert fitted[..., :16, :].unique().tolist() == [-1]
    assert fitted[..., 16:, :].unique().tolist() == [1]


def test_a_task_that_is_cut_is_logged_once(
    load: Callable[..., SmolVLA], observation: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    policy = load(steps={"tokenizer_processor": {"max_length": 2}})
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            policy.prepare(**observation)
    assert [record.getMessage() for record in caplog.records] == [
        "task is longer than 2 tokens and was cut: 'Wipe the table'"
    ]


def test_without_the_new_line_step_no_new_line_is_added(
    make_checkpoint: Callable[..., Path], observation: dict[str, Any], policy: SmolVLA
) -> None:
    folder = make_checkpoint()
    pipeline = json.loads((folder / "policy_preprocessor.json").read_text())
    pipeline["steps"] = [s for s in pipeline["steps"] if s["registry_name"] != "smolvla_new_line_processor"]
    (folder / "policy_preprocessor.json").write_text(json.dumps(pipeline))
    other = SmolVLA.from_pretrained(folder, device="cpu", backbone=GOLDEN / "vlm")
    lengths = [int(p.prepare(**observation).tokens_valid.sum()) for p in (policy, other)]
    assert lengths[0] == lengths[1] + 1
