# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of an adapter (LoRA) by PEFT: small matrices beside frozen weights, saved as LeRobot and PEFT save them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from smolvla_ros.policy.checkpoint.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from smolvla_ros.policy.checkpoint.lora import PREFIX
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.weights import checkpoint_name
from smolvla_ros.settings import Settings, setting
from smolvla_ros.training.errors import TrainingError

# LeRobot's default for SmolVLA: 0.6.1, policies/smolvla/modeling_smolvla.py.
DEFAULT_TARGETS = (
    r"(model\.vlm_with_expert\.lm_expert\..*\.(q|v)_proj|model\.(state_proj|action_in_proj|action_out_proj|"
    r"action_time_mlp_in|action_time_mlp_out))"
)
NAME = "default"  # that PEFT gives to the adapter in its parameters' names


@dataclass(frozen=True)
class AdapterSettings(Settings):
    """An adapter; rank 0 for none."""

    lora_rank: int = setting(
        0, "train an adapter (LoRA) of this rank instead of the weights; 0: none", bounds=(0, None)
    )
    lora_alpha: int = setting(
        8, "the adapter's product is scaled by this, divided by the rank", bounds=(1, None)
    )
    lora_targets: str = setting(
        DEFAULT_TARGETS, "regular expression for LeRobot's names of the layers that get an adapter"
    )


def add_adapter(network: Network, settings: AdapterSettings) -> dict[str, nn.Parameter]:
    """Freeze the network and add the adapter's matrices to it; returns them by LeRobot's names.

    Raises TrainingError if PEFT is not installed or no layer is a target.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise TrainingError(
            f"an adapter needs PEFT ({error}); install it: pip install peft, or leave lora_rank at 0"
        ) from error
    targets = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and re.fullmatch(settings.lora_targets, _lerobot_module(name))
    ]
    if not targets:
        raise TrainingError(
            f"lora_targets {settings.lora_targets!r} matches no linear layer; names are like "
            f"{_lerobot_module('expert.layers.0.self_attn.q_proj')}"
        )
    network.requires_grad_(False)
    inject_adapter_in_model(
        LoraConfig(r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules=targets),
        network,
        NAME,
    )
    return {
        checkpoint_name(name).replace(f".{NAME}.", "."): parameter
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }


def save_adapter(folder: Path, weights: Mapping[str, Tensor], settings: AdapterSettings, base: str) -> None:
    """Write the adapter's two files; base: the checkpoint that it belongs to, a folder or Hub id."""
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": base,
        "r": settings.lora_rank,
        "lora_alpha": settings.lora_alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": settings.lora_targets,
        "inference_mode": True,
        "init_lora_weights": True,
    }
    (folder / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    tensors = {PREFIX + name: tensor.detach().cpu() for name, tensor in weights.items()}
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})


def _lerobot_module(name: str) -> str:
    return checkpoint_name(f"{name}.weight").removesuffix(".weight")
