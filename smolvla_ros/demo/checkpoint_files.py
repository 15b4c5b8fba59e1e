# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All files of the demo checkpoint but the weights: LeRobot's JSON files, statistics and a small tokenizer.

The keys and values are those that LeRobot 0.4 writes for a SmolVLA trained with two cameras on an SO-100, as far as
inference reads them; only the sizes are smaller.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from smolvla_ros.policy.checkpoint.config import ACTION, IMAGES, STATE
from smolvla_ros.policy.checkpoint.pipeline_files import write_json, write_pipelines

JOINTS = 6
CAMERAS = ("camera1", "camera2")  # above the table, on the wrist
CHUNK, TOKENS, IMAGE_SIZE = 50, 48, 128
WIDTH, HEADS, HEAD_DIM, LAYERS, VOCABULARY = 384, 12, 32, 4, 448

# Made-up statistics in LeRobot's units: degrees from the middle pose, gripper 0..100. The motion stays within about two
# standard deviations of the mean.
MEAN = (0.0, 0.0, 0.0, 0.0, 0.0, 50.0)
STD = (30.0, 20.0, 20.0, 20.0, 30.0, 25.0)

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<global-img>", "<fake_token_around_image>", "<image>",
    "<end_of_utterance>",
)  # fmt: skip
CORPUS = """Pick up the red cube and place it in the box. Put the pink lego brick into the transparent box.
Grasp the green block and stack it on the blue one. Open the drawer, then close it. Wipe the table with the cloth.
Move the white bowl to the left, the yellow cup to the right. Push the bottle forward, pull it back. Wave with the arm.
Take the pen from the table, hand it over and return to the home position. Sort the objects by colour and size."""


def write_files_beside_weights(folder: Path) -> None:
    """Write all files of the checkpoint but the weights; creates the folder."""
    (folder / "vlm").mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config_json())
    write_json(folder / "vlm" / "config.json", backbone_json())
    tokens = {"max_length": TOKENS, "padding": "max_length", "padding_side": "right", "truncation": True}
    write_pipelines(
        folder,
        features_json(),
        action_json(),
        NORMALIZATION,
        {"tokenizer_name": "vlm", **tokens},
        statistics(),
    )
    write_tokenizer(folder / "vlm")


def features_json() -> dict[str, Any]:
    images = {f"{IMAGES}{name}": {"type": "VISUAL", "shape": [3, 480, 640]} for name in CAMERAS}
    return {STATE: {"type": "STATE", "shape": [JOINTS]}, **images}


def action_json() -> dict[str, Any]:
    return {ACTION: {"type": "ACTION", "shape": [JOINTS]}}


NORMALIZATION = {"VISUAL": "IDENTITY", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}


def config_json() -> dict[str, Any]:
    return {
        "type": "smolvla",
        "input_features": features_json(), "output_features": action_json(), "normalization_mapping": NORMALIZATION,
        "n_obs_steps": 1, "chunk_size": CHUNK, "n_action_steps": CHUNK, "num_steps": 10,
        "device": "cpu", "use_amp": False, "push_to_hub": False, "use_cache": True,
        "max_state_dim": 32, "max_action_dim": 32, "tokenizer_max_length": TOKENS, "pad_language_to": "max_length",
        "resize_imgs_with_padding": [IMAGE_SIZE, IMAGE_SIZE], "empty_cameras": 0, "add_image_special_tokens": False,
        "adapt_to_pi_aloha": False, "use_delta_joint_actions_aloha": False,
        "vlm_model_name": "vlm", "load_vlm_weights": True, "num_vlm_layers": LAYERS, "prefix_length": 0,
        "attention_mode": "cross_attn", "self_attn_every_n_layers": 2,
        "num_expert_layers": 0, "expert_width_multiplier": 0.75, "min_period": 0.004, "max_period": 4.0,
    }  # fmt: skip


def backbone_json() -> dict[str, Any]:
    text = {
        "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-05, "torch_dtype": "bfloat16",
        "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS, "head_dim": HEAD_DIM,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS // 2,
        "vocab_size": VOCABULARY, "tie_word_embeddings": False,
    }  # fmt: skip
    vision = {
        "model_type": "smolvlm_vision", "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-06,
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": IMAGE_SIZE, "patch_size": 16,
    }  # fmt: skip
    return {
        "architectures": ["SmolVLMForConditionalGeneration"], "model_type": "smolvlm", "torch_dtype": "float32",
        "image_token_id": SPECIAL_TOKENS.index("<image>"), "pad_token_id": SPECIAL_TOKENS.index("<|im_end|>"),
        "scale_factor": 4, "tie_word_embeddings": False, "text_config": text, "vision_config": vision,
    }  # fmt: skip


def statistics() -> dict[str, Tensor]:
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    named = {"mean": mean, "std": std, "min": mean - 2 * std, "max": mean + 2 * std}
    return {
        f"{feature}.{name}": value.clone() for feature in (STATE, ACTION) for name, value in named.items()
    }


def write_tokenizer(folder: Path) -> None:
    """A byte-level tokenizer with SmolVLM's special tokens, its merges trained on CORPUS."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        show_progress=False,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(CORPUS.splitlines(), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {
        "pad_token": "<|im_end|>", "bos_token": "<|im_start|>", "unk_token": "<|endoftext|>",
        "eos_token": "<end_of_utterance>",
    }  # fmt: skip
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "truncation_side": "left",
        "model_max_length": 8192,
    }
    write_json(folder / "tokenizer_config.json", {**settings, **special})
    write_json(folder / "special_tokens_map.json", special)
