# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint with new weights, to train from scratch: SmolVLA's settings around the backbone in a folder.

Layers begin as torch initialises them; embeddings as in the backbone (transformers' initializer_range 0.02).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.policy.checkpoint.config import ACTION, IMAGES, STATE, BackboneConfig, SmolVLAConfig
from smolvla_ros.policy.checkpoint.files import CONFIG_FILE, WEIGHTS_FILE, Checkpoint, Json
from smolvla_ros.policy.checkpoint.pipeline_files import write_json, write_pipelines
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.weights import checkpoint_name
from smolvla_ros.training.errors import TrainingError
from smolvla_ros.training.pretrained_files import copy_backbone

BACKBONE = "vlm"  # folder inside the checkpoint with configuration and tokenizer of the vision-language model
EMBEDDING_STD = 0.02
MOST_LAYERS = 16  # of the language model, as in the published SmolVLA
NORMALIZATION = {"VISUAL": "IDENTITY", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
TOKENS = {"max_length": 48, "padding": "max_length", "padding_side": "right", "truncation": True}


def write_initial_checkpoint(folder: Path, backbone: Path, dataset: LeRobotDataset, seed: int) -> None:
    """Write the checkpoint for the dataset's cameras and joints; raises TrainingError, CheckpointError."""
    place = Checkpoint.locate(backbone)
    vlm = place.json(CONFIG_FILE, "the backbone folder must hold the vision-language model's config.json")
    widths = {name: dataset.features.get(name, {}).get("shape", [0])[0] for name in (STATE, ACTION)}
    if not all(widths.values()) or not dataset.image_keys:
        raise TrainingError(
            f"dataset '{dataset.root}' has no state, action or camera; SmolVLA needs all three"
        )
    inputs: dict[str, Any] = {STATE: {"type": "STATE", "shape": [widths[STATE]]}}
    for key in dataset.image_keys:
        height, width = dataset.features[IMAGES + key]["shape"][:2]
        inputs[IMAGES + key] = {"type": "VISUAL", "shape": [3, height, width]}
    outputs = {ACTION: {"type": "ACTION", "shape": [widths[ACTION]]}}
    side = vlm.object("vision_config").get("image_size", int, 512)
    layers = min(vlm.object("text_config").positive("num_hidden_layers"), MOST_LAYERS)
    values = {
        "type": "smolvla", "input_features": inputs, "output_features": outputs,
        "normalization_mapping": NORMALIZATION, "n_obs_steps": 1, "chunk_size": 50, "n_action_steps": 50,
        "num_steps": 10, "device": "cpu", "use_amp": False, "push_to_hub": False, "use_cache": True,
        "max_state_dim": 32, "max_action_dim": 32, "tokenizer_max_length": 48, "pad_language_to": "max_length",
        "resize_imgs_with_padding": [side, side], "empty_cameras": 0, "add_image_special_tokens": False,
        "adapt_to_pi_aloha": False, "use_delta_joint_actions_aloha": False,
        "vlm_model_name": BACKBONE, "load_vlm_weights": True, "num_vlm_layers": layers,
        "prefix_length": 0, "attention_mode": "cross_attn", "self_attn_every_n_layers": 2, "num_expert_layers": 0,
        "expert_width_multiplier": 0.75, "min_period": 0.004, "max_period": 4.0,
    }  # fmt: skip
    folder.mkdir(parents=True)
    write_json(folder / CONFIG_FILE, values)
    copy_backbone(place.folder, folder / BACKBONE)
    tokenizer = {"tokenizer_name": BACKBONE, **TOKENS}
    write_pipelines(folder, inputs, outputs, NORMALIZATION, tokenizer, _statistics(widths))
    config = SmolVLAConfig.from_json(Json(CONFIG_FILE, values))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(config, BackboneConfig.from_json(vlm, config))
        for module in network.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=EMBEDDING_STD)
    tensors = {checkpoint_name(name): parameter.detach() for name, parameter in network.named_parameters()}
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def _statistics(widths: dict[str, int]) -> dict[str, torch.Tensor]:
    """Zero mean and unit deviation; the first trained checkpoint has those of the datasets."""
    return {
        f"{feature}.{name}": torch.full((width,), value)
        for feature, width in widths.items()
        for name, value in (("mean", 0.0), ("std", 1.0))
    }
