# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Modules of the network compared with the reference, and the number of weights of the published one."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
import torch

from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.checkpoint.config import BackboneConfig, SmolVLAConfig
from smolvla_ros.policy.checkpoint.files import Json
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.transformer import (
    attend,
    attention_bias,
    attention_layout,
    block_mask,
    rotate,
    rotation,
)
from smolvla_ros.policy.smolvla.weights import UNUSED, checkpoint_name

from ..package_files import GOLDEN


def real_network() -> Network:
    """SmolVLA as published, on torch's meta device, without memory for its weights."""
    config = json.loads((GOLDEN / "era_b" / "config.json").read_text())
    config |= {"resize_imgs_with_padding": [512, 512], "num_vlm_layers": 16}
    vlm = json.loads((GOLDEN / "vlm" / "config.json").read_text()) | {"scale_factor": 4}
    heads = {"num_attention_heads": 15, "num_key_value_heads": 5, "head_dim": 64}
    sizes = {"hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "vocab_size": 49280}
    vlm["text_config"] |= heads | sizes
    vlm["vision_config"] = {
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": 768,
        "num_attention_heads": 12,
        "image_size": 512,
        "patch_size": 16,
    }
    policy_config = SmolVLAConfig.from_json(Json("config.json", config))
    with torch.device("meta"):
        return Network(policy_config, BackboneConfig.from_json(Json("vlm", vlm), policy_config))


def test_the_real_network_has_the_weights_of_smolvla_base() -> None:
    # 500 tensors with 450,046,176 values in lerobot/smolvla_base, one of them the unused lm_head.
    named = dict(real_network().named_parameters())
    assert len(named) + 1 == 500
    assert sum(parameter.numel() for parameter in named.values()) + 49280 * 960 == 450_046_176
    keys = {checkpoint_name(name) for name in named}
    assert len(keys) == 499
    assert UNUSED not in keys
    assert "model.vlm_with_expert.vlm.model.connector.modality_projection.proj.weight" in keys
    assert "model.vlm_with_expert.vlm.model.vision_model.encoder.layers.11.mlp.fc2.bias" in keys


def test_odd_expert_layers_of_the_real_network_project_from_the_cache() -> None:
    layers = list(real_network().expert.layers)
    assert [tuple(layer.self_attn.k_proj.weight.shape) for layer in layers[:2]] == [(320, 720), (320, 320)]
    assert tuple(layers[0].mlp.gate_proj.weight.shape) == (2048, 720)


def test_rotation_is_that_of_the_reference(tensors: Mapping[str, torch.Tensor]) -> None:
    x = tensors["unit.rope.x"]
    by = rotation(tensors["unit.rope.positions"], x.shape[-1])
    torch.testing.assert_close(rotate(x, by), tensors["unit.rope.out"], atol=1e-6, rtol=1e-6)
    assert torch.equal(rotate(x.to(torch.bfloat16), by), tensors["unit.rope.out_bf16"])


def test_block_mask_is_that_of_the_reference(tensors: Mapping[str, torch.Tensor]) -> None:
    mask = block_mask(tensors["unit.mask.pad"], tensors["unit.mask.att"])
    assert torch.equal(mask, tensors["unit.mask.out"])


def test_time_embedding_is_that_of_the_reference(tensors: Mapping[str, torch.Tensor]) -> None:
    embedded = real_network().embed_times(tensors["unit.time.t"])
    expected = tensors["unit.time.embedding_720"].to(torch.float32)
    torch.testing.assert_close(embedded, expected, atol=1e-6, rtol=0)


def test_a_query_without_keys_gets_no_nan() -> None:
    x = torch.randn(1, 2, 4, 8)
    assert torch.isfinite(
        attend(x, *attention_layout(x, x), attention_bias(torch.zeros(1, 2, 2, dtype=torch.bool)))
    ).all()


def test_actions_do_not_attend_to_later_actions(policy: SmolVLA) -> None:
    network = policy.network
    with torch.inference_mode():
        prefix = network.embed_prefix(
            [torch.zeros(1, 3, 64, 64)], [True], torch.ones(1, 3, dtype=torch.int64), torch.ones(1, 3).bool(),
            torch.zeros(1, 32),
        )  # fmt: skip
        context = network.context(prefix, *network.prefix_keys_values(prefix))
        time = network.embed_times(torch.tensor([0.5]))[0]
        before = torch.randn(1, 50, 32, generator=torch.Generator().manual_seed(0))
        after = before.clone()
        after[:, 20] += 1
        difference = (network.velocity(context, after, time) - network.velocity(context, before, time)).abs()
    assert difference[:, :20].max() < 1e-5
    assert difference[:, 20].max() > 1e-2
    assert difference[:, 21:].max() > 1e-4


@pytest.mark.parametrize("count", [1, 2])
def test_padding_of_the_prompt_changes_nothing(count: int, policy: SmolVLA) -> None:
    network = policy.network
    noise = torch.randn(1, 50, 32, generator=torch.Generator().manual_seed(0))
    results = []
    with torch.inference_mode():
        for padding in (0, 7):
            tokens = torch.arange(10, 15 + padding)[None]
            valid = torch.arange(5 + padding)[None] < 5
            images = [torch.full((1, 3, 64, 64), 0.2)] * count
            prefix = network.embed_prefix(images, [True] * count, tokens, valid, torch.zeros(1, 32))
            results.append(
                network.sample(network.context(prefix, *network.prefix_keys_values(prefix)), noise)
            )
    torch.testing.assert_close(*results, atol=1e-5, rtol=0)
