# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The public class SmolVLA: attributes, rejected inputs, reproducibility."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.policy import PolicyError

Load = Callable[..., SmolVLA]


def test_attributes_describe_the_inputs(policy: SmolVLA) -> None:
    assert policy.name == "era_b"
    assert policy.image_keys == ("camera1", "camera2")
    assert (policy.state_dim, policy.action_dim, policy.chunk_size) == (6, 6, 50)


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, smolvla_ros.policy; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_has_no_other_names() -> None:
    import smolvla_ros.policy

    with pytest.raises(AttributeError, match="no attribute 'SmolVLB'"):
        smolvla_ros.policy.SmolVLB  # noqa: B018


def test_one_seed_gives_one_chunk(policy: SmolVLA, observation: dict[str, Any]) -> None:
    first, again, other = (policy.predict_chunk(**observation, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_noise_may_be_a_batch_of_one(policy: SmolVLA, observation: dict[str, Any]) -> None:
    noise = np.random.default_rng(0).standard_normal((policy.chunk_size, 32)).astype(np.float32)
    alone, batched = (policy.predict_chunk(**observation, noise=given) for given in (noise, noise[None]))
    assert np.array_equal(alone, batched)


def test_without_a_seed_chunks_differ_and_a_reset_repeats_them(
    load: Load, observation: dict[str, Any]
) -> None:
    policy = load()
    first, second = (policy.predict_chunk(**observation) for _ in range(2))
    assert not np.array_equal(first, second)
    policy.reset()
    assert np.array_equal(policy.predict_chunk(**observation), first)


def test_inputs_are_left_as_they_were(policy: SmolVLA, observation: dict[str, Any]) -> None:
    noise = np.ones((50, 32), dtype=np.float32)
    policy.predict_chunk(**observation, noise=noise)
    assert (noise == 1).all()
    assert (observation["images"]["camera1"] == 90).all()


def test_half_types_stay_near_float32(load: Load, policy: SmolVLA, observation: dict[str, Any]) -> None:
    half = load(dtype="bfloat16")
    assert half.network.expert.norm.weight.dtype == torch.bfloat16
    std = policy.processors.action.second.numpy()
    difference = policy.predict_chunk(**observation, seed=0) - half.predict_chunk(**observation, seed=0)
    assert 0 < np.abs(difference / std).max() < 0.3


@pytest.mark.parametrize(
    ("cameras", "empty_cameras", "expected"),
    [
        (("camera1", "camera2"), 0, [True, True]),
        (("camera2",), 0, [True]),
        (("camera2",), 1, [True, False]),
        (("camera1", "camera2"), 2, [True, True, False, False]),
        (("camera1",), 2, [True, False, False]),
    ],
)
def test_absent_cameras_are_skipped_or_replaced_by_empty_ones(
    cameras: tuple[str, ...],
    empty_cameras: int,
    expected: list[bool],
    load: Load,
    observation: dict[str, Any],
) -> None:
    policy = load(config={"empty_cameras": empty_cameras})
    images = {name: observation["images"][name] for name in cameras}
    prepared = policy.prepare(**{**observation, "images": images})
    assert policy.image_keys == ("camera1", "camera2")
    assert prepared.image_valid == expected
    for image, valid in zip(prepared.images, expected, strict=True):
        assert bool((image == -1).all()) is not valid


def test_a_masked_camera_is_not_looked_at(policy: SmolVLA, observation: dict[str, Any]) -> None:
    chunks = []
    for shade in (0, 255):
        images = {**observation["images"], "camera1": np.full((48, 64, 3), shade, dtype=np.uint8)}
        given = {**observation, "images": images, "seed": 0}
        chunks.append(policy.predict_chunk(**given, image_masks={"camera1": False}))
    np.testing.assert_allclose(*chunks, atol=1e-3)


def test_an_image_may_be_a_view(policy: SmolVLA, observation: dict[str, Any]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    mirrored = {"camera1": image[::-1, :, ::-1]}
    copied = {"camera1": image[::-1, :, ::-1].copy()}
    view, copy = (
        policy.prepare(**{**observation, "images": images}).images[0] for images in (mirrored, copied)
    )
    assert torch.equal(view, copy)


IMAGE = np.zeros((48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {}}, "no image is given; era_b expects camera1, camera2"),
        (
            {"images": {"cam1": IMAGE}},
            "'cam1' is unknown .* camera1, camera2, given were cam1; did you mean 'camera1'",
        ),
        ({"images": {"front": IMAGE}}, "'front' is unknown to era_b"),
        ({"image_masks": {"front": True}}, "'front' is unknown to era_b"),
        (
            {"images": {"camera1": IMAGE.astype(np.float32)}},
            "'camera1' has shape .* type float32, expected RGB uint8",
        ),
        ({"images": {"camera1": IMAGE[0]}}, r"'camera1' has shape \(64, 3\)"),
        ({"images": {"camera1": IMAGE.transpose(2, 0, 1)}}, r"'camera1' has shape \(3, 48, 64\)"),
        ({"images": {"camera1": None}}, "'camera1' has shape .* type object"),
        ({"images": {"camera1": IMAGE[:0]}}, r"'camera1' has shape \(0, 64, 3\)"),
        ({"state": np.zeros(7)}, r"state has shape \(7,\) .* expects 6 numbers"),
        ({"state": np.zeros((1, 6))}, r"state has shape \(1, 6\)"),
        ({"state": ["a"] * 6}, "state has shape .* type <U1"),
        ({"state": [0, 0, np.nan, 0, 0, 0]}, "state holds values that are not finite"),
        ({"task": None}, "task is None"),
        ({"noise": np.zeros((50, 6), dtype=np.float32)}, r"noise has shape \(50, 6\) .* shape \(50, 32\)"),
        ({"noise": np.full((50, 32), np.inf, dtype=np.float32)}, "noise has shape"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    changes: dict[str, Any], message: str, policy: SmolVLA, observation: dict[str, Any]
) -> None:
    with pytest.raises(PolicyError, match=message):
        policy.predict_chunk(**{**observation, **changes})


def test_a_renamed_camera_given_twice_is_refused(load: Load, observation: dict[str, Any]) -> None:
    rename = {"observation.images.front": "observation.images.camera1"}
    policy = load(steps={"rename_observations_processor": {"rename_map": rename}})
    images = {**observation["images"], "front": IMAGE}
    with pytest.raises(PolicyError, match="'camera1' is given twice"):
        policy.predict_chunk(**{**observation, "images": images})


def test_the_checkpoint_s_own_names_are_not_renamed(
    load: Load, policy: SmolVLA, observation: dict[str, Any]
) -> None:
    # as LeRobot's rename_map is for data whose cameras are called camera0 and camera1
    names = {f"observation.images.camera{n}": f"observation.images.camera{n + 1}" for n in (0, 1)}
    first, second = np.full((48, 64, 3), 20, np.uint8), np.full((48, 64, 3), 200, np.uint8)
    given = {**observation, "images": {"camera1": first, "camera2": second}, "seed": 1}
    renaming = load(steps={"rename_observations_processor": {"rename_map": names}})
    expected = policy.predict_chunk(**given)
    np.testing.assert_array_equal(renaming.predict_chunk(**given), expected)
    of_data = {**given, "images": {"camera0": first, "camera1": second}}
    np.testing.assert_array_equal(renaming.predict_chunk(**of_data), expected)


def test_actions_that_are_not_finite_are_not_returned(load: Load, observation: dict[str, Any]) -> None:
    policy = load()
    policy.network.action_out_proj.weight[0, 0] = torch.nan
    with pytest.raises(RuntimeError, match="not finite; its weights are damaged"):
        policy.predict_chunk(**observation)
