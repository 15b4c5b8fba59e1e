# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sizes of the small SmolVLA, and the files in LeRobot's layout that describe it.

It has the parts of the large one: vision tower, pixel shuffle, language model, action expert whose layers attend in
turn to the actions and to the prefix. The number of patches a side is a power of 2, because transformers 4.56 and 4.57
compute patch positions in float32, which is exact for these only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from smolvla_ros.arrays import FloatArray
from smolvla_ros.policy.checkpoint.config import (
    ACTION,
    IMAGES,
    STATE,
    BackboneConfig,
    SmolVLAConfig,
    TransformerConfig,
    VisionConfig,
)
from smolvla_ros.policy.checkpoint.files import WEIGHTS_FILE, Json
from smolvla_ros.policy.checkpoint.pipeline_files import rate_statistics, write_json, write_pipelines
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.weights import UNUSED, checkpoint_name, parameter_dtype
from smolvla_ros.share import NODE_PARAMETERS
from smolvla_ros.simulation.layout import CUBE_COLOURS
from smolvla_ros.simulation.tasks.instruction import TASKS

TRAINED_TASKS = ("touch", "pick_up", "pick_place", "stack", "sort")  # whose words the tokenizer knows
BACKBONE = "vlm"  # folder of tokenizer and configuration inside the checkpoint
SPECIAL_TOKENS = (
    "<|endoftext|>",  # of unknown words too
    "<|im_start|>",
    "<|im_end|>",  # padding
    "<global-img>",
    "<fake_token_around_image>",
    "<image>",
    "<end_of_utterance>",
)
UNKNOWN, PADDING = 0, 2
# With noise, chunks that follow each other closely disagree about whether a cube has been grasped, and it is lost.
RUN_WITH = """# Parameters of the policy node and the executor for this checkpoint.
/**:
  ros__parameters:
    noise_scale: 0.0
    threshold: 0.3
"""
NORM_MODES = {"VISUAL": "IDENTITY", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}


@dataclass(frozen=True)
class Sizes:
    """Sizes of the small SmolVLA. The defaults are those of the shipped checkpoint: 16 visual tokens a camera, and
    chunks of 16 actions at 10 Hz."""

    cameras: tuple[str, ...] = ("camera1", "camera2")
    joints: int = 6
    chunk: int = 16
    rate_hz: float = 10.0  # of the actions
    flow_steps: int = 6
    image: int = 192  # side of the square, pixels
    patch: int = 24
    pixel_shuffle: int = 2
    vision_width: int = 128
    vision_layers: int = 2
    vision_heads: int = 4
    text_width: int = 192
    text_layers: int = 4
    text_heads: int = 6
    text_kv_heads: int = 3
    head_dim: int = 32
    text_mlp_width: int = 512
    self_attention_every: int = 2  # layers of the expert: one attends to the actions too; 0: none
    text_tokens: int = 20
    vocabulary: int = 64

    def policy_json(self) -> dict[str, Any]:
        """The checkpoint's config.json."""
        images = {f"{IMAGES}{name}": {"type": "VISUAL", "shape": [3, 480, 640]} for name in self.cameras}
        return {
            "type": "smolvla",
            "n_obs_steps": 1,
            "input_features": {STATE: {"type": "STATE", "shape": [self.joints]}, **images},
            "output_features": {ACTION: {"type": "ACTION", "shape": [self.joints]}},
            "device": "cpu",
            "chunk_size": self.chunk,
            "n_action_steps": self.chunk,
            "normalization_mapping": NORM_MODES,
            "max_state_dim": 32,
            "max_action_dim": 32,
            "resize_imgs_with_padding": [self.image, self.image],
            "empty_cameras": 0,
            "tokenizer_max_length": self.text_tokens,
            "num_steps": self.flow_steps,
            "vlm_model_name": BACKBONE,
            "load_vlm_weights": True,
            "attention_mode": "cross_attn",
            "prefix_length": 0,
            "pad_language_to": "max_length",
            "num_expert_layers": 0,
            "num_vlm_layers": self.text_layers,
            "self_attn_every_n_layers": self.self_attention_every,
            "expert_width_multiplier": 0.75,
        }

    def backbone_json(self) -> dict[str, Any]:
        """The config.json of the vision-language model."""
        return {
            "architectures": ["SmolVLMForConditionalGeneration"],
            "model_type": "smolvlm",
            "image_token_id": SPECIAL_TOKENS.index("<image>"),
            "pad_token_id": PADDING,
            "scale_factor": self.pixel_shuffle,
            "tie_word_embeddings": False,
            "text_config": {
                "model_type": "llama",
                "hidden_act": "silu",
                "rms_norm_eps": 1e-5,
                "hidden_size": self.text_width,
                "intermediate_size": self.text_mlp_width,
                "num_hidden_layers": self.text_layers,
                "num_attention_heads": self.text_heads,
                "num_key_value_heads": self.text_kv_heads,
                "head_dim": self.head_dim,
                "vocab_size": self.vocabulary,
                "pad_token_id": PADDING,
                "tie_word_embeddings": False,
            },
            "vision_config": {
                "model_type": "smolvlm_vision",
                "hidden_act": "gelu_pytorch_tanh",
                "layer_norm_eps": 1e-6,
                "num_channels": 3,
                "hidden_size": self.vision_width,
                "intermediate_size": 4 * self.vision_width,
                "num_hidden_layers": self.vision_layers,
                "num_attention_heads": self.vision_heads,
                "image_size": self.image,
                "patch_size": self.patch,
            },
        }

    def network(self) -> Network:
        """The network, with torch's random weights."""
        text = TransformerConfig(
            self.text_width,
            self.text_mlp_width,
            self.text_layers,
            self.text_heads,
            self.text_kv_heads,
            self.head_dim,
            1e-5,
        )
        vision = VisionConfig(
            self.vision_width,
            4 * self.vision_width,
            self.vision_layers,
            self.vision_heads,
            1e-6,
            self.image,
            self.patch,
            self.pixel_shuffle,
        )
        config = SmolVLAConfig.from_json(Json("config.json", self.policy_json()))
        return Network(config, BackboneConfig(vision, text, self.vocabulary))


def words() -> tuple[str, ...]:
    """All words of the wordings in training, in alphabetical order."""
    texts = [wording.replace("{}", "") for name in TRAINED_TASKS for wording in TASKS[name]]
    return tuple(sorted({word.lower() for text in texts for word in text.split()} | set(CUBE_COLOURS)))


def word_id(word: str) -> int:
    """The id of one of `words`."""
    return len(SPECIAL_TOKENS) + words().index(word)


def word_tokenizer() -> Tokenizer:
    """One token for each word in lower case; an unknown word is UNKNOWN."""
    vocabulary = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *words()))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL_TOKENS[UNKNOWN]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def token_ids(tokenizer: Tokenizer, instruction: str, length: int) -> list[int]:
    """The ids of an instruction, padded with PADDING or cut to `length`, as the checkpoint's preprocessor does."""
    ids = list(tokenizer.encode(instruction + "\n").ids[:length])
    return ids + [PADDING] * (length - len(ids))


def save_checkpoint(
    folder: Path, sizes: Sizes, network: Network, statistics: dict[str, dict[str, FloatArray]]
) -> None:
    """Write a folder in LeRobot's layout. `statistics`: feature -> "mean" and "std" -> values (joints,)."""
    write_files_beside_weights(folder, sizes, statistics)
    # In the types in which LeRobot runs them: it would round float32 values when it loads them.
    weights = {
        checkpoint_name(name): parameter.detach()
        .to("cpu", parameter_dtype(network, name, "native"))
        .contiguous()
        for name, parameter in network.named_parameters()
    }
    # LeRobot's model has it, though no action depends on it.
    weights[UNUSED] = torch.zeros(sizes.vocabulary, sizes.text_width, dtype=torch.bfloat16)
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def write_files_beside_weights(
    folder: Path, sizes: Sizes, statistics: dict[str, dict[str, FloatArray]]
) -> None:
    """Write all files of a checkpoint but its weights; creates the folder."""
    backbone = folder / BACKBONE
    backbone.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", sizes.policy_json())
    write_json(backbone / "config.json", sizes.backbone_json())
    _write_tokenizer(backbone)
    _write_processors(folder, sizes, statistics)
    (folder / NODE_PARAMETERS).write_text(RUN_WITH, encoding="utf-8")


def _write_tokenizer(folder: Path) -> None:
    word_tokenizer().save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "bos_token": "<|im_start|>",
            "clean_up_tokenization_spaces": False,
            "eos_token": "<end_of_utterance>",
            "model_max_length": 8192,
            "pad_token": SPECIAL_TOKENS[PADDING],
            "tokenizer_class": "PreTrainedTokenizerFast",
            "unk_token": SPECIAL_TOKENS[UNKNOWN],
        },
    )


def _write_processors(folder: Path, sizes: Sizes, statistics: dict[str, dict[str, FloatArray]]) -> None:
    """Both pipelines and their statistics."""
    config = sizes.policy_json()
    tokenizer = {
        "tokenizer_name": BACKBONE,
        "max_length": sizes.text_tokens,
        "padding": "max_length",
        "padding_side": "right",
        "truncation": True,
    }
    tensors = {
        f"{feature}.{name}": torch.tensor(np.asarray(values, np.float32))
        for feature, values_by_name in statistics.items()
        for name, values in values_by_name.items()
    }
    tensors |= rate_statistics(sizes.rate_hz)
    write_pipelines(
        folder, config["input_features"], config["output_features"], NORM_MODES, tokenizer, tensors
    )
