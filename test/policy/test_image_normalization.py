# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint whose preprocessor normalises images gets them as LeRobot gives them: normalised, then scaled to fit.

The expectations are LeRobot's formulas in NumPy, in float64.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from smolvla_ros.arrays import FloatArray, ImageArray
from smolvla_ros.feature_statistics import MODE_STATISTICS
from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.checkpoint.files import CheckpointError
from smolvla_ros.policy.checkpoint.processing import Processors, fit_image
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec

from .conftest import GOLDEN, MakeCheckpoint, Tensors, alter, golden_buffers, save_without_processors

STATE_FILE = "policy_preprocessor_step_5_normalizer_processor.safetensors"
PREPROCESSOR = "policy_preprocessor.json"
CAMERAS = ("observation.images.camera1", "observation.images.camera2")
# As datasets of two different views have them: (3, 1, 1) each, of images in 0..1.
STATISTICS = {
    camera: {
        "mean": [0.5 + offset, 0.4, 0.3],
        "std": [0.2, 0.25 - offset, 0.3],
        "min": [0.0, 0.1 + offset, 0.2],
        "max": [0.9, 1.0, 0.2],  # one colour never changed
        "q01": [0.05, 0.1, 0.1],
        "q99": [0.8, 0.8 - offset, 0.7],
        "q10": [0.1, 0.2, 0.2],
        "q90": [0.7, 0.6 - offset, 0.6],
    }
    for camera, offset in zip(CAMERAS, (0.0, 0.05), strict=True)
}
EPS = 1e-8


def normalised(image: ImageArray, mode: str, statistics: dict[str, list[float]]) -> FloatArray:
    """RGB (H, W, 3) to (3, H, W), not scaled."""
    x = image.transpose(2, 0, 1).astype(np.float64) / 255
    first, second = (np.array(statistics[name])[:, None, None] for name in MODE_STATISTICS[mode])
    if mode == "MEAN_STD":
        return np.asarray((x - first) / (second + EPS))
    return np.asarray(2 * (x - first) / np.where(second == first, EPS, second - first) - 1)


def save_statistics(path: Path, shape: tuple[int, ...] = (3, 1, 1)) -> None:
    values = {
        f"{camera}.{name}": torch.tensor(colours).reshape(shape)
        for camera, of_camera in STATISTICS.items()
        for name, colours in of_camera.items()
    }
    alter(path, lambda tensors: tensors.update(values))


@pytest.fixture
def images() -> dict[str, ImageArray]:
    """As large as what the golden checkpoint scales to, so that scaling changes nothing."""
    random = np.random.default_rng(0)
    images = {name: random.integers(0, 256, (64, 64, 3), dtype=np.uint8) for name in ("camera1", "camera2")}
    for image in images.values():
        image[..., 2] = 51  # the colour that never changed
    return images


def with_mode(make_checkpoint: MakeCheckpoint, mode: str, **settings: Any) -> Path:
    norm_map = {"VISUAL": mode, "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
    folder = make_checkpoint(steps={"normalizer_processor": {"norm_map": norm_map, **settings}})
    save_statistics(folder / STATE_FILE)
    return folder


def load(folder: Path) -> Processors:
    return CheckpointSpec.load(folder, backbone=GOLDEN / "vlm").processors


def check_images(processors: Processors, mode: str, images: dict[str, ImageArray]) -> None:
    assert set(processors.images) == set(CAMERAS)
    for camera, image in zip(CAMERAS, images.values(), strict=True):
        fitted = fit_image(torch.tensor(image), 64, processors.images[camera])[0].numpy()
        expected = normalised(image, mode, STATISTICS[camera]) * 2 - 1
        np.testing.assert_allclose(fitted[:2], expected[:2], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            fitted[2], expected[2], rtol=1e-5, atol=10.0 if mode == "MIN_MAX" else 1e-5
        )


@pytest.mark.parametrize("mode", [mode for mode in MODE_STATISTICS if mode != "IDENTITY"])
def test_images_are_normalised_by_the_mode_and_the_statistics_of_their_camera(
    mode: str, make_checkpoint: MakeCheckpoint, images: dict[str, ImageArray]
) -> None:
    check_images(load(with_mode(make_checkpoint, mode)), mode, images)


def test_what_is_filled_up_is_not_normalised(make_checkpoint: MakeCheckpoint) -> None:
    normalizer = load(with_mode(make_checkpoint, "MEAN_STD")).images[CAMERAS[0]]
    fitted = fit_image(torch.full((32, 64, 3), 255, dtype=torch.uint8), 64, normalizer)[0]
    assert bool((fitted[:, :32] == -1).all())
    assert fitted[:, 32:].flatten(1).mean(1).tolist() == pytest.approx(
        [2 * 2.5 - 1, 2 * 2.4 - 1, 2 * 7 / 3 - 1], rel=1e-5
    )


def test_the_network_sees_the_normalised_images(
    make_checkpoint: MakeCheckpoint,
    policy: SmolVLA,
    observation: dict[str, Any],
    images: dict[str, ImageArray],
) -> None:
    folder = with_mode(make_checkpoint, "MEAN_STD")
    normalising = SmolVLA.from_pretrained(folder, device="cpu", dtype="float32", backbone=GOLDEN / "vlm")
    given = {**observation, "images": images}
    for camera, image, seen in zip(
        CAMERAS, images.values(), normalising.prepare(**given).images, strict=True
    ):
        expected = normalised(image, "MEAN_STD", STATISTICS[camera]) * 2 - 1
        np.testing.assert_allclose(seen[0].numpy(), expected, rtol=1e-5, atol=1e-5)
    for plain in policy.prepare(**given).images:
        assert plain.abs().max() <= 1
    chunks = [model.predict_chunk(**given, seed=0) for model in (normalising, policy)]
    assert np.abs(chunks[0] - chunks[1]).max() > 0.1


def test_without_an_entry_for_images_or_outside_the_chosen_keys_they_stay_as_they_are(
    make_checkpoint: MakeCheckpoint,
) -> None:
    folder = with_mode(
        make_checkpoint, "MEAN_STD", normalize_observation_keys=["observation.state", CAMERAS[1]]
    )
    assert list(load(folder).images) == [CAMERAS[1]]
    pipeline = json.loads((folder / PREPROCESSOR).read_text())
    settings = pipeline["steps"][5]["config"]
    settings["norm_map"].pop("VISUAL")
    settings["normalize_observation_keys"] = [CAMERAS[1]]
    (folder / PREPROCESSOR).write_text(json.dumps(pipeline))
    processors = load(folder)
    assert (dict(processors.images), processors.state.mode) == ({}, "IDENTITY")


@pytest.mark.parametrize("mode", ["MEAN_STD", "MIN_MAX"])
def test_images_are_normalised_by_what_lerobot_03_saved_among_the_weights(
    mode: str, make_checkpoint: MakeCheckpoint, images: dict[str, ImageArray]
) -> None:
    first, second = MODE_STATISTICS[mode]
    buffers = {
        f"normalize_inputs.buffer_{camera.replace('.', '_')}.{name}": torch.tensor(values[name])[
            :, None, None
        ]
        for camera, values in STATISTICS.items()
        for name in (first, second)
    }
    folder = save_without_processors(make_checkpoint(), golden_buffers() | buffers)
    config = json.loads((folder / "config.json").read_text())
    config["normalization_mapping"]["VISUAL"] = mode
    (folder / "config.json").write_text(json.dumps(config))
    check_images(load(folder), mode, images)


def test_missing_statistics_of_images_are_refused_or_come_from_stats_json(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    folder = with_mode(make_checkpoint, "MEAN_STD")
    alter(folder / STATE_FILE, lambda tensors: tensors.pop(f"{CAMERAS[1]}.std"))
    message = (
        r"no usable statistics of observation.images.camera2 \(mean, std\).*set VISUAL to IDENTITY in norm_map of "
        "policy_preprocessor.json if"
    )
    with pytest.raises(CheckpointError, match=message):
        load(folder)
    stats = {CAMERAS[1]: {name: [[[v]] for v in values] for name, values in STATISTICS[CAMERAS[1]].items()}}
    (tmp_path / "stats.json").write_text(json.dumps(stats))
    spec = CheckpointSpec.load(folder, backbone=GOLDEN / "vlm", stats=tmp_path / "stats.json")
    assert spec.processors.images[CAMERAS[1]].second.flatten().tolist() == pytest.approx([0.2, 0.2, 0.3])


def test_statistics_of_one_number_a_colour_are_taken_and_other_shapes_refused(
    make_checkpoint: MakeCheckpoint,
) -> None:
    folder = with_mode(make_checkpoint, "MEAN_STD")
    save_statistics(folder / STATE_FILE, shape=(3,))
    assert load(folder).images[CAMERAS[0]].first.shape == (3, 1, 1)

    def damage(tensors: Tensors) -> None:
        tensors[f"{CAMERAS[0]}.mean"] = torch.zeros(1)

    alter(folder / STATE_FILE, damage)
    with pytest.raises(
        CheckpointError, match=r"'observation.images.camera1.mean' has shape \(1,\), expected \(3, 1, 1\)"
    ):
        load(folder)


def test_a_camera_that_the_normaliser_does_not_list_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    folder = with_mode(
        make_checkpoint, "MEAN_STD", features={"observation.state": {"type": "STATE", "shape": [6]}}
    )
    with pytest.raises(CheckpointError, match="features: 'observation.images.camera1' is missing"):
        load(folder)


def test_statistics_of_the_golden_dataset_have_the_shape_that_is_expected() -> None:
    statistics = load_file(GOLDEN / "era_b" / STATE_FILE)
    assert statistics[f"{CAMERAS[0]}.mean"].shape == (3, 1, 1)
