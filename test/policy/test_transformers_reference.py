# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vision tower, connector and language layers are those of transformers, for the backbones that SmolVLA is built on.

The three differ in image size, patch size, scale factor and heads. Here they have two layers, narrow heads and small
images, with the same ratios, and random weights. transformers 4.57 shifts patch positions by one in float32
(vision.py), so its encoder is given the patches with their positions added.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from transformers import SmolVLMConfig, SmolVLMModel

from smolvla_ros.policy.checkpoint.config import BackboneConfig, SmolVLAConfig
from smolvla_ros.policy.checkpoint.files import Json
from smolvla_ros.policy.smolvla.network import Network, Prefix
from smolvla_ros.policy.smolvla.weights import checkpoint_name

from .conftest import GOLDEN

LAYERS, HEAD_DIM, VISION_HEAD_DIM = 2, 8, 4
ROPE_THETA = 10_000.0  # SmolVLA's, whatever the config of the language model says
PREFIX = "model.vlm_with_expert.vlm.model."


@dataclass(frozen=True)
class Backbone:
    """What differs in the public config.json of HuggingFaceTB/SmolVLM2-<name>."""

    width: int
    mlp_width: int
    layers: int
    heads: int
    kv_heads: int
    vision_width: int
    vision_mlp_width: int
    vision_layers: int
    vision_heads: int
    image_size: int
    patch_size: int
    scale_factor: int
    small_image: int  # as many scale factors of patches, and as many pixels over

    def config(self, **changes: Any) -> dict[str, Any]:
        return {
            "model_type": "smolvlm",
            "scale_factor": self.scale_factor,
            "text_config": {
                "model_type": "llama",
                "hidden_size": self.width,
                "intermediate_size": self.mlp_width,
                "num_hidden_layers": self.layers,
                "num_attention_heads": self.heads,
                "num_key_value_heads": self.kv_heads,
                "head_dim": self.width // self.heads,
                "rms_norm_eps": 1e-5,
                "rope_theta": ROPE_THETA,
                "vocab_size": 49280,
            },
            "vision_config": {
                "hidden_size": self.vision_width,
                "intermediate_size": self.vision_mlp_width,
                "num_hidden_layers": self.vision_layers,
                "num_attention_heads": self.vision_heads,
                "image_size": self.image_size,
                "patch_size": self.patch_size,
            },
        }

    def small_config(self) -> dict[str, Any]:
        config = self.config()
        config["text_config"] |= {
            "hidden_size": self.heads * HEAD_DIM,
            "intermediate_size": 4 * HEAD_DIM,
            "num_hidden_layers": LAYERS,
            "head_dim": HEAD_DIM,
            "vocab_size": 16,
        }
        config["vision_config"] |= {
            "hidden_size": self.vision_heads * VISION_HEAD_DIM,
            "intermediate_size": 4 * VISION_HEAD_DIM,
            "num_hidden_layers": LAYERS,
            "image_size": self.small_image,
        }
        return config


BACKBONES = {
    "256M-Video-Instruct": Backbone(576, 1536, 30, 9, 3, 768, 3072, 12, 12, 512, 16, 4, 128),
    "500M-Video-Instruct": Backbone(960, 2560, 32, 15, 5, 768, 3072, 12, 12, 512, 16, 4, 128),
    "2.2B-Instruct": Backbone(2048, 8192, 24, 32, 32, 1152, 4304, 27, 16, 384, 14, 3, 9 * 14 + 6),
}


def policy_config(image_size: int, layers: int) -> SmolVLAConfig:
    values = json.loads((GOLDEN / "era_b" / "config.json").read_text())
    values |= {"resize_imgs_with_padding": [image_size, image_size], "num_vlm_layers": layers}
    return SmolVLAConfig.from_json(Json("config.json", values))


@dataclass(frozen=True)
class Pair:
    backbone: Backbone
    theirs: SmolVLMModel
    ours: Network


@pytest.fixture(scope="module", params=BACKBONES)
def pair(request: pytest.FixtureRequest) -> Pair:
    """transformers' model and ours, with the same random weights."""
    backbone = BACKBONES[request.param]
    torch.manual_seed(0)
    theirs = SmolVLMModel(SmolVLMConfig(**backbone.small_config())).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    config = policy_config(backbone.small_image, LAYERS)
    ours = Network(config, BackboneConfig.from_json(Json("vlm", backbone.small_config()), config)).eval()
    weights = theirs.state_dict()
    for name, parameter in ours.named_parameters():
        key = checkpoint_name(name)
        if key.startswith(PREFIX):
            parameter.data.copy_(weights.pop(key.removeprefix(PREFIX)))
    assert not weights
    return Pair(backbone, theirs, ours)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item())


@torch.inference_mode()
def test_images_become_the_same_tokens(pair: Pair) -> None:
    image = torch.rand(2, 3, pair.backbone.small_image, pair.backbone.small_image) * 2 - 1
    tower = pair.theirs.vision_model
    patches = tower.embeddings.patch_embedding(image).flatten(2).transpose(1, 2)
    placed = patches + tower.embeddings.position_embedding.weight
    expected = tower.post_layernorm(tower.encoder(inputs_embeds=placed).last_hidden_state)
    found = pair.ours.vision(image)
    assert_close(found, expected)
    side = pair.backbone.small_image // pair.backbone.patch_size // pair.backbone.scale_factor
    tokens = pair.ours.connector(found)
    assert tokens.shape == (2, side**2, pair.backbone.heads * HEAD_DIM)
    assert_close(tokens, pair.theirs.connector(expected))


@torch.inference_mode()
def test_a_prefix_becomes_the_same_keys_and_values(pair: Pair) -> None:
    """Images and words that attend to each other, padding, and the state, which only attends."""
    valid = torch.tensor([[True] * 5 + [False] * 2 + [True]])
    starts_block = torch.tensor([[False] * 7 + [True]])
    positions = torch.cumsum(valid, dim=1) - 1
    embeddings = torch.randn(1, 8, pair.backbone.heads * HEAD_DIM)
    blocks = torch.cumsum(starts_block, dim=1)
    visible = (blocks[:, None] <= blocks[:, :, None]) & valid[:, None] & valid[:, :, None]
    mask = torch.where(visible, 0.0, torch.finfo(torch.float32).min)[:, None]
    cache = pair.theirs.text_model(
        inputs_embeds=embeddings, attention_mask=mask, position_ids=positions, use_cache=True
    ).past_key_values
    keys, values = pair.ours.prefix_keys_values(Prefix(embeddings, valid, starts_block, positions))
    assert len(keys) == LAYERS
    for layer, (key, value) in enumerate(zip(keys, values, strict=True)):
        expected = cache.layers[layer]
        assert_close(key[valid], expected.keys.transpose(1, 2)[valid])
        assert_close(value[valid], expected.values.transpose(1, 2)[valid])


@pytest.mark.parametrize("name", BACKBONES)
def test_the_real_backbones_are_read_in_full_size(name: str) -> None:
    backbone = BACKBONES[name]
    config = policy_config(512, 16)
    values = backbone.config()
    if name == "500M-Video-Instruct":  # which omits values that equal transformers' defaults
        del values["vision_config"]["intermediate_size"], values["vision_config"]["num_hidden_layers"]
    read = BackboneConfig.from_json(Json("vlm", values), config)
    assert (read.vision.mlp_width, read.vision.layers) == (backbone.vision_mlp_width, backbone.vision_layers)
    assert (read.text.width, read.text.layers, read.text.head_dim) == (backbone.width, 16, 64)
    with torch.device("meta"):
        network = Network(config, read)
        tokens = network.connector(network.vision(torch.zeros(1, 3, 512, 512)))
    assert tokens.shape == (1, (512 // backbone.patch_size // backbone.scale_factor) ** 2, backbone.width)
    if name == "500M-Video-Instruct":  # smolvla_base: 450,046,176 with the unused head of the language model
        assert sum(p.numel() for p in network.parameters()) == 450_046_176 - 49280 * 960
