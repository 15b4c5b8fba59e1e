# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SmolVLA gives the numbers of the reference implementation, case by case (test/data/golden/README.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.smolvla.prepared_inputs import PreparedInputs

from ..package_files import GOLDEN

CASES = {
    case["name"]: case for case in json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))["cases"]
}
RUNS = [(name, mode) for name, case in CASES.items() for mode in case["modes"]]

Load = Callable[..., SmolVLA]
Tensors = Mapping[str, torch.Tensor]


def load_case(load: Load, name: str, mode: str) -> SmolVLA:
    case = CASES[name]
    config = dict(case["policy_overrides"])
    if mode == "native_no_vlm_weights":
        config["load_vlm_weights"] = False
    dtype = "float32" if mode == "fp32" else "native"
    return load(dtype, config=config, steps=case["preprocessor_overrides"])


def inputs(name: str, tensors: Tensors) -> dict[str, Any]:
    def short(key: str) -> str:
        return key.removeprefix("observation.images.")

    case = CASES[name]
    return {
        "images": {short(key): tensors[image].numpy() for key, image in case["images"].items()},
        "state": tensors[case["state"]].numpy(),
        "task": case["task"],
        "image_masks": {short(key): mask for key, mask in case["image_padding_mask"].items()},
    }


@pytest.mark.parametrize(("name", "mode"), RUNS)
def test_actions_are_those_of_the_reference(
    name: str, mode: str, load_shared: Load, tensors: Tensors
) -> None:
    policy = load_case(load_shared, name, mode)
    actions = policy.predict_chunk(**inputs(name, tensors), noise=tensors[f"{name}.noise"][0].numpy())
    std = policy.processors.action.second.numpy()  # tolerances are in standard deviations
    error = np.abs(actions - tensors[f"{name}.{mode}.action"][0].numpy()) / std
    assert actions.shape == (50, 6)
    if mode == "fp32":
        assert error.max() < 3e-5
    else:  # another attention kernel moves bfloat16 results by up to 0.1
        assert error.max() < 0.2
        assert error.mean() < 0.03


@pytest.mark.parametrize("name", CASES)
def test_prepared_inputs_are_those_of_the_reference(name: str, load_shared: Load, tensors: Tensors) -> None:
    prepared: PreparedInputs = load_case(load_shared, name, "fp32").prepare(**inputs(name, tensors))
    assert torch.equal(prepared.tokens, tensors[f"{name}.tokens"])
    assert torch.equal(prepared.tokens_valid, tensors[f"{name}.mask"])
    assert prepared.image_valid == tensors[f"{name}.prepared_image_masks"][0].tolist()
    torch.testing.assert_close(
        prepared.state[:, :6], tensors[f"{name}.state_normalized"], atol=1e-6, rtol=1e-6
    )
    assert not prepared.state[:, 6:].any()
    if f"{name}.prepared_images" in tensors:
        images = torch.stack(prepared.images, dim=1)
        torch.testing.assert_close(images, tensors[f"{name}.prepared_images"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("mode", ["fp32", "native"])
def test_what_happens_on_the_way_is_that_of_the_reference(
    mode: str, load_shared: Load, tensors: Tensors
) -> None:
    policy = load_case(load_shared, "basic", mode)
    network = policy.network
    found: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        prepared = policy.prepare(**inputs("basic", tensors))
        for index, image in enumerate(prepared.images):
            seen = network.vision(image.to(network.vision.patch_embedding.weight.dtype))
            found |= {f"vision_out.{index}": seen, f"connector_out.{index}": network.connector(seen)}
        prefix = network.embed_prefix(
            prepared.images, prepared.image_valid, prepared.tokens, prepared.tokens_valid, prepared.state
        )
        found |= {
            "prefix_embs": prefix.embeddings,
            "prefix_pad_mask": prefix.valid,
            "prefix_att_mask": prefix.starts_block,
            "prefix_position_ids": prefix.positions,
        }
        keys, values = network.prefix_keys_values(prefix)
        found |= {f"cache_k.{index}": key for index, key in enumerate(keys)}
        found |= {f"cache_v.{index}": value for index, value in enumerate(values)}
        noise = tensors["basic.noise"]
        first_time = network.embed_times(torch.tensor([1.0]))[0]
        found["suffix_embs.0"] = network.embed_actions(noise, first_time)
        found["v_t.0"] = network.velocity(network.context(prefix, keys, values), noise, first_time)
    assert len(found) == 4 + 4 + 2 * 4 + 2
    for name, tensor in found.items():
        expected = tensors[f"basic.{mode}.inter.{name}"]
        assert tensor.dtype == expected.dtype, name
        if expected.is_floating_point():
            scale = expected.abs().max().item()
            atol = scale * (1e-5 if mode == "fp32" else 1e-2)
            torch.testing.assert_close(
                tensor, expected, atol=atol, rtol=0, msg=lambda m, name=name: f"{name}: {m}"
            )
        else:
            assert torch.equal(tensor, expected), name


def test_native_types_are_those_of_the_reference(load_shared: Load) -> None:
    network = load_case(load_shared, "basic", "native").network
    kept = {name for name, parameter in network.named_parameters() if parameter.dtype == torch.float32}
    assert kept == {
        *(f"expert.layers.{layer}.self_attn.{kind}_proj.weight" for layer in (1, 3) for kind in "kv"),
        *(
            f"{module}.{leaf}"
            for module in ("state_proj", "action_in_proj", "action_out_proj")
            for leaf in ("weight", "bias")
        ),
        *(f"action_time_mlp_{end}.{leaf}" for end in ("in", "out") for leaf in ("weight", "bias")),
    }
    assert {p.dtype for name, p in network.named_parameters() if name not in kept} == {torch.bfloat16}


def test_without_vlm_weights_the_vision_tower_is_float32(load_shared: Load) -> None:
    network = load_case(load_shared, "basic", "native_no_vlm_weights").network
    assert {p.dtype for p in (*network.vision.parameters(), *network.connector.parameters())} == {
        torch.float32
    }
    assert network.text.embed_tokens.weight.dtype == torch.bfloat16


def test_swapped_cameras_change_the_actions(load_shared: Load, tensors: Tensors) -> None:
    policy, given = load_case(load_shared, "mixed_sizes", "fp32"), inputs("mixed_sizes", tensors)
    noise = tensors["mixed_sizes.noise"][0].numpy()
    swapped = {"camera1": given["images"]["camera2"], "camera2": given["images"]["camera1"]}
    difference = policy.predict_chunk(**given, noise=noise) - policy.predict_chunk(
        **{**given, "images": swapped}, noise=noise
    )
    assert np.abs(difference).max() > 1
