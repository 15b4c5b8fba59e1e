# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network of a checkpoint: its config.json and that of its vision-language model.

Keys that do not change the computation are ignored; unsupported values of others raise CheckpointError. LeRobot's
defaults are used for keys that older versions lack.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smolvla_ros.policy.checkpoint.derived import derived
from smolvla_ros.policy.checkpoint.files import HUB_ID, Checkpoint, CheckpointError, Json, download
from smolvla_ros.policy.guidance_settings import GuidanceSettings
from smolvla_ros.policy.policy import PolicyError

STATE = "observation.state"
ACTION = "action"
IMAGES = "observation.images."
OBSERVATION = "observation."


@dataclass(frozen=True)
class SmolVLAConfig:
    """The checkpoint's config.json, as far as inference depends on it."""

    state_dim: int
    action_dim: int
    image_keys: tuple[str, ...]  # full names, in the order of training
    empty_cameras: int  # how many absent cameras are replaced by a masked image
    image_size: int  # side of the square that images are fitted into, pixels
    chunk_size: int  # actions in a chunk
    num_steps: int  # steps of the flow from noise to actions
    max_state_dim: int
    max_action_dim: int
    prefix_length: int  # the prefix is padded to this many tokens; 0: not padded
    add_image_special_tokens: bool
    load_vlm_weights: bool  # affects only the dtype of the vision tower
    vlm_model_name: str
    num_vlm_layers: int  # layers kept of the language model; 0: all
    self_attn_every_n_layers: int
    expert_width_multiplier: float
    min_period: float  # of the sinusoidal time embedding, in units of the flow's time 0..1
    max_period: float
    guidance: GuidanceSettings  # defaults for real-time chunking
    # Pre- and postprocessing of checkpoints without processor files:
    tokenizer_max_length: int
    pad_language_to: str  # "max_length" or "longest"
    norm_modes: Mapping[str, str]  # type of a feature (VISUAL, STATE, ACTION) -> mode of normalisation

    @classmethod
    def from_json(cls, config: Json) -> SmolVLAConfig:
        kind = config.get("type", str)
        if kind != "smolvla":
            raise CheckpointError(f"{config.where}: 'type' is {kind!r}; this is not a SmolVLA checkpoint")
        config.require("attention_mode", "cross_attn", "cross_attn", "no published checkpoint uses another")
        config.require("adapt_to_pi_aloha", False, False, "the Aloha joint conversion is not implemented")
        config.require(
            "use_delta_joint_actions_aloha", False, False, "relative Aloha actions are not implemented"
        )
        config.require("use_cache", True, True, "without it the network computes something else")
        num_vlm_layers = max(config.get("num_vlm_layers", int, 16), 0)
        if config.get("num_expert_layers", int, -1) > 0:
            config.require(
                "num_expert_layers", num_vlm_layers, 0, "an expert with fewer layers is not implemented"
            )
        image_keys, state_dim = _inputs(config)
        max_state_dim, max_action_dim = (
            config.positive("max_state_dim", 32),
            config.positive("max_action_dim", 32),
        )
        action_dim = _width(config.object("output_features"), ACTION)
        if state_dim > max_state_dim or action_dim > max_action_dim:
            raise CheckpointError(
                f"{config.where}: state {state_dim} and action {action_dim} values do not fit max_state_dim "
                f"{max_state_dim} and max_action_dim {max_action_dim}"
            )
        empty_cameras = config.get("empty_cameras", int, 0)
        for index in range(empty_cameras):
            key = f"{IMAGES}empty_camera_{index}"
            image_keys += (key,) if key not in image_keys else ()
        modes = config.object("normalization_mapping", {})
        return cls(
            state_dim=state_dim,
            action_dim=action_dim,
            image_keys=image_keys,
            empty_cameras=empty_cameras,
            image_size=_image_size(config),
            chunk_size=config.positive("chunk_size", 50),
            num_steps=config.positive("num_steps", 10),
            max_state_dim=max_state_dim,
            max_action_dim=max_action_dim,
            prefix_length=max(config.get("prefix_length", int, -1), 0),
            add_image_special_tokens=config.get("add_image_special_tokens", bool, False),
            load_vlm_weights=config.get("load_vlm_weights", bool, False),
            vlm_model_name=config.get("vlm_model_name", str, "HuggingFaceTB/SmolVLM2-500M-Video-Instruct"),
            num_vlm_layers=num_vlm_layers,
            self_attn_every_n_layers=config.get("self_attn_every_n_layers", int, 2),
            expert_width_multiplier=config.get("expert_width_multiplier", float, 0.75),
            min_period=config.get("min_period", float, 4e-3),
            max_period=config.get("max_period", float, 4.0),
            guidance=_guidance(config),
            tokenizer_max_length=config.positive("tokenizer_max_length", 48),
            pad_language_to=config.get("pad_language_to", str, "longest"),
            norm_modes={
                "VISUAL": modes.get("VISUAL", str, "IDENTITY"),
                "STATE": modes.get("STATE", str, "MEAN_STD"),
                "ACTION": modes.get("ACTION", str, "MEAN_STD"),
            },
        )

    def is_self_attention(self, layer: int) -> bool:
        """Whether this layer of the action expert attends to the actions too, or only to the prefix."""
        return self.self_attn_every_n_layers > 0 and layer % self.self_attn_every_n_layers == 0

    @property
    def camera_keys(self) -> tuple[str, ...]:
        """Full names of the real cameras, in the checkpoint's order."""
        return tuple(key for key in self.image_keys if not key.startswith(f"{IMAGES}empty_camera_"))

    @property
    def cameras(self) -> tuple[str, ...]:
        """Short names of the real cameras, in the checkpoint's order."""
        return tuple(map(short_name, self.camera_keys))


def short_name(image_key: str) -> str:
    """`camera1` for `observation.images.camera1`, `image2` for the older `observation.image2`."""
    return image_key.removeprefix(IMAGES).removeprefix(OBSERVATION)


def _inputs(config: Json) -> tuple[tuple[str, ...], int]:
    features = config.object("input_features")
    images = tuple(key for key in features.values if features.object(key).get("type", str) == "VISUAL")
    if not images:
        raise CheckpointError(
            f"{features.where}: no camera (a feature of type VISUAL); SmolVLA needs at least one"
        )
    return images, _width(features, STATE)


def _width(features: Json, key: str) -> int:
    shape = features.object(key).get("shape", list)
    if len(shape) != 1 or not isinstance(shape[0], int) or shape[0] < 1:
        raise CheckpointError(f"{features.where}: {key!r} has shape {shape}, expected one number above 0")
    return shape[0]


def _guidance(config: Json) -> GuidanceSettings:
    defaults = GuidanceSettings()
    if config.values.get("rtc_config") is None:
        return defaults
    rtc = config.object("rtc_config")
    try:
        return GuidanceSettings(
            execution_horizon=rtc.get("execution_horizon", int, defaults.execution_horizon),
            schedule=rtc.get("prefix_attention_schedule", str, defaults.schedule).lower(),
            max_weight=rtc.get("max_guidance_weight", float, defaults.max_weight),
        )
    except PolicyError as error:
        raise CheckpointError(f"{rtc.where}: {error}") from error


def _image_size(config: Json) -> int:
    size = config.get("resize_imgs_with_padding", list, [512, 512])
    if len(size) != 2 or size[0] != size[1] or not isinstance(size[0], int) or size[0] < 1:
        raise CheckpointError(
            f"{config.where}: 'resize_imgs_with_padding' is {size}, expected two equal numbers "
            f"such as [512, 512]"
        )
    return size[0]


@dataclass(frozen=True)
class VisionConfig:
    width: int
    mlp_width: int
    layers: int
    heads: int
    norm_eps: float
    image_size: int  # of the position table; pixels
    patch_size: int
    pixel_shuffle: int  # this many patches squared become one token


@dataclass(frozen=True)
class TransformerConfig:
    width: int
    mlp_width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    norm_eps: float


@dataclass(frozen=True)
class BackboneConfig:
    """The vision-language model's config.json; with transformers' defaults for missing keys."""

    vision: VisionConfig
    text: TransformerConfig
    vocabulary: int

    @classmethod
    def from_json(cls, config: Json, policy: SmolVLAConfig) -> BackboneConfig:
        if config.get("model_type", str) != "smolvlm":
            raise CheckpointError(
                f"{config.where}: 'model_type' is {config.values['model_type']!r}, expected 'smolvlm'"
            )
        config = _with_defaults(config)
        text, vision = config.object("text_config"), config.object("vision_config")
        text.require("hidden_act", "silu", "silu", "the layers of SmolVLA use it")
        vision.require(
            "hidden_act", "gelu_pytorch_tanh", "gelu_pytorch_tanh", "the vision tower of SmolVLA uses it"
        )
        layers, heads, width = (
            text.positive(k) for k in ("num_hidden_layers", "num_attention_heads", "hidden_size")
        )
        if policy.num_vlm_layers > layers:
            raise CheckpointError(
                f"{text.where} has {layers} layers, the checkpoint wants {policy.num_vlm_layers} of them"
            )
        kv_heads = text.positive("num_key_value_heads")
        patch, pixel_shuffle = vision.positive("patch_size"), config.positive("scale_factor")
        if heads % kv_heads or policy.image_size // patch % pixel_shuffle:
            raise CheckpointError(
                f"{config.where}: {heads} heads share {kv_heads} key-value heads, and every "
                f"{pixel_shuffle} of {policy.image_size // patch} patches in a row are joined; neither may leave a "
                f"remainder"
            )
        return cls(
            text=TransformerConfig(
                width=width,
                mlp_width=text.positive("intermediate_size"),
                layers=policy.num_vlm_layers or layers,
                heads=heads,
                kv_heads=kv_heads,
                head_dim=text.positive("head_dim"),
                norm_eps=text.get("rms_norm_eps", float),
            ),
            vision=VisionConfig(
                width=vision.positive("hidden_size"),
                mlp_width=vision.positive("intermediate_size"),
                layers=vision.positive("num_hidden_layers"),
                heads=vision.positive("num_attention_heads"),
                norm_eps=vision.get("layer_norm_eps", float),
                image_size=vision.positive("image_size"),
                patch_size=patch,
                pixel_shuffle=pixel_shuffle,
            ),
            vocabulary=text.positive("vocab_size"),
        )


def _with_defaults(config: Json) -> Json:
    """The config.json of a SmolVLM as transformers completes it."""

    def complete() -> str:
        from transformers import AutoConfig  # imported here: it takes seconds

        try:
            completed = AutoConfig.for_model(**config.values)
        except Exception as error:  # from the file's contents, of any type
            raise CheckpointError(
                f"{config.where} is not the configuration of a SmolVLM ({error})"
            ) from error
        return str(completed.to_json_string(use_diff=False))

    given = json.dumps(config.values, sort_keys=True).encode()
    return Json(config.where, json.loads(derived("config", [given], complete)))


def expert_config(text: TransformerConfig, width_multiplier: float) -> TransformerConfig:
    """The action expert: narrower than the language model; the width of its MLP as LeRobot rounds it."""
    width = int(text.width * width_multiplier)
    mlp_width = 256 * math.ceil(int(4 * int(2 * width / 3)) / 256)
    return TransformerConfig(
        width, mlp_width, text.layers, text.heads, text.kv_heads, text.head_dim, text.norm_eps
    )


def find_backbone(name: str, checkpoints: Sequence[Checkpoint], backbone: str | Path | None) -> Checkpoint:
    """The folder with the vision-language model's config and tokenizer (its weights are in the checkpoint).

    `backbone` if given; else `name` as a folder inside one of the `checkpoints`, as a folder, or as a Hub id.
    """
    if backbone is not None:
        if not Path(backbone).expanduser().is_dir():
            raise CheckpointError(f"backbone={str(backbone)!r} is not a folder")
        return Checkpoint.locate(backbone)
    for folder in (*(checkpoint.folder / name for checkpoint in checkpoints), Path(name).expanduser()):
        if folder.is_dir():
            return Checkpoint.locate(folder)
    if not HUB_ID.fullmatch(name):
        raise CheckpointError(
            f"{checkpoints[0].folder / 'config.json'}: the vision-language model {name!r} is no folder inside "
            f"the checkpoint, no folder in {Path.cwd()} and no Hub id; pass backbone=<folder with its "
            f"config.json and tokenizer.json>"
        )
    try:
        return Checkpoint(
            download(
                name,
                None,
                ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"],
            ),
            name,
        )
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; it holds the vision-language model's config and tokenizer, which the checkpoint "
            f"lacks; pass backbone=<folder with its config.json and tokenizer.json> to work without network"
        ) from error
