# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`train --from-scratch`: a small network with new weights learns two episodes by heart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.policy.smolvla.smolvla_policy import SmolVLA
from smolvla_ros.training.session import TrainingRequest, train
from smolvla_ros.training.settings import TrainingSettings
from smolvla_ros.training.small.architecture import BACKBONE, Sizes, write_files_beside_weights

from .small_dataset import write_small_dataset

SIZES = Sizes(
    image=64,
    patch=16,
    pixel_shuffle=2,
    vision_width=64,
    vision_heads=2,
    vision_layers=1,
    text_width=64,
    text_heads=2,
    text_kv_heads=2,
    text_layers=2,
    text_mlp_width=128,
)
SETTINGS = TrainingSettings(
    steps=500,
    batch_size=16,
    lr=4e-3,
    warmup_steps=2000,
    validation=0.0,
    validate_every=0,
    device="cpu",
    workers=0,
    precision="float32",
)


@pytest.mark.slow
def test_a_small_network_learns_two_episodes_to_less_than_a_degree(tmp_path: Path) -> None:
    dataset = write_small_dataset(tmp_path / "data", (20, 20), ["camera1"])
    statistics = {name: {"mean": np.zeros(6), "std": np.ones(6)} for name in ("action", "observation.state")}
    write_files_beside_weights(tmp_path / "sizes", SIZES, statistics)
    request = TrainingRequest((str(dataset),), "", SETTINGS, str(tmp_path / "sizes" / BACKBONE), None, {})
    outcome = train(request, tmp_path / "run", [], print)
    assert outcome.errors is not None and outcome.checkpoint is not None
    assert (outcome.errors.policy < 1.0).all() and (outcome.errors.hold_still > 5.0).any()
    assert not outcome.errors.is_held_out
    # the checkpoint needs nothing outside its folder
    (tmp_path / "sizes").rename(tmp_path / "elsewhere")
    policy = SmolVLA.from_pretrained(outcome.checkpoint, device="cpu", dtype="float32")
    images = {name: np.zeros((48, 64, 3), np.uint8) for name in policy.image_keys}
    assert policy.predict_chunk(images, np.zeros(6), "Move the bar 0").shape == (50, 6)
