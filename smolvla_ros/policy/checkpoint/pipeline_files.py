# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the processor pipelines of a checkpoint as LeRobot 0.4 and later save them; pipeline_steps.py reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from smolvla_ros.policy.checkpoint.pipeline_steps import (
    NEW_LINE,
    NORMALIZER,
    POSTPROCESSOR,
    PREPROCESSOR,
    RENAME,
    TOKENIZER,
    UNNORMALIZER,
)

Features = Mapping[str, Mapping[str, Any]]  # name -> type and shape, as in config.json
EPS = 1e-8  # LeRobot's, added to standard deviations


def write_pipelines(
    folder: Path,
    inputs: Features,
    outputs: Features,
    norm_map: Mapping[str, str],
    tokenizer: Mapping[str, Any],
    statistics: Mapping[str, Tensor],
    rename: Mapping[str, str] | None = None,
) -> None:
    """Write both pipelines and their statistics.

    tokenizer: the settings of its step. statistics: `<feature>.<statistic>` -> values. rename: observation -> the
    name that the policy has for it.
    """
    before = [
        _step(RENAME, rename_map=dict(rename or {})),
        _step("to_batch_processor"),
        _step(NEW_LINE),
        _step(TOKENIZER, task_key="task", **tokenizer),
        _step("device_processor", device="cpu", float_dtype=None),
        _step(NORMALIZER, eps=EPS, features={**inputs, **outputs}, norm_map=dict(norm_map)),
    ]
    after = [
        _step(UNNORMALIZER, eps=EPS, features=dict(outputs), norm_map=dict(norm_map)),
        _step("device_processor", device="cpu", float_dtype=None),
    ]
    for name, steps in ((PREPROCESSOR, before), (POSTPROCESSOR, after)):
        pipeline = name.removesuffix(".json")
        for index, step in enumerate(steps):
            if "norm_map" in step["config"]:
                step["state_file"] = f"{pipeline}_step_{index}_{step['registry_name']}.safetensors"
                save_file(dict(statistics), folder / step["state_file"])
        write_json(folder / name, {"name": pipeline, "steps": steps})


def rate_statistics(rate_hz: float) -> dict[str, Tensor]:
    """Statistics that tell the rate of the actions, as those of LeRobot's datasets do.

    The standard deviations of frame_index and timestamp have the ratio of frames to seconds.
    """
    return {"frame_index.std": torch.tensor([rate_hz]), "timestamp.std": torch.tensor([1.0])}


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file of a checkpoint."""
    path.write_text(json.dumps(values, indent=4) + "\n", encoding="utf-8")


def _step(name: str, **config: Any) -> dict[str, Any]:
    return {"registry_name": name, "config": config}
