# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which parameters are trained, and in which order LeRobot lists them.

The sets are those of LeRobot 0.6.1's settings train_expert_only, train_state_proj and freeze_vision_encoder
(policies/smolvla/smolvlm_with_expert.py).
"""

from __future__ import annotations

import re

from torch import nn

from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.weights import UNUSED, checkpoint_name

EXPERT_ONLY = ("expert", "expert_frozen_state_proj")  # the vision-language model is frozen
TRAINED = (*EXPERT_ONLY, "vlm_without_vision", "all")
FROM_SCRATCH = "all_from_scratch"  # every parameter that has an effect
LANGUAGE_MODEL = ".vlm."  # in LeRobot's names of what the vision-language model has
EXPERT = ("expert.", "action_")

# LeRobot's order of modules, in which it numbers the optimizer's state. The order inside a layer is another for the
# vision tower (transformers' SigLIP) than for the language model and the expert (transformers' Llama).
PARTS = (
    *("vision.patch_embedding.", "vision.position_embedding.", "vision.layers.", "vision.post_layernorm."),
    *("connector.", "text.embed_tokens.", "text.layers.", "text.norm."),
    *("expert.layers.", "expert.norm."),
    *("state_proj.", "action_in_proj.", "action_out_proj.", "action_time_mlp_in.", "action_time_mlp_out."),
)
VISION_LAYER = (
    *("self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj"),
    *("layer_norm1", "mlp.fc1", "mlp.fc2", "layer_norm2"),
)
TEXT_LAYER = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm", "post_attention_layernorm"),
)
LAYER = re.compile(r"(\w+)\.layers\.(\d+)\.(.+)\.(weight|bias)")


def is_trained(network: Network, name: str, trained: str) -> bool:
    """Whether a parameter of the network, by its name there, is trained; `trained` is one of TRAINED.

    With the language model its last layer and final norm stay frozen: LeRobot does so because of unused parts of them.
    """
    if trained == FROM_SCRATCH:
        return not _is_unused(network, name)
    if trained not in TRAINED:
        raise ValueError(f"trained is {trained!r}, expected one of {', '.join(TRAINED)}")
    if name.startswith(EXPERT):
        return True
    if name.startswith("state_proj."):
        return trained != "expert_frozen_state_proj"
    if trained in EXPERT_ONLY:
        return False
    if name.startswith("vision."):
        return trained == "all"
    return not name.startswith(("text.norm.", f"text.layers.{len(network.text.layers) - 1}."))


def _is_unused(network: Network, name: str) -> bool:
    """Whether a parameter has no effect: of the last layer of the language model only keys and values are used."""
    last = f"text.layers.{len(network.text.layers) - 1}."
    if not name.startswith(last):
        return name.startswith("text.norm.")
    return not name.removeprefix(last).startswith(
        ("input_layernorm.", "self_attn.k_proj", "self_attn.v_proj")
    )


def set_trained(network: Network, trained: str) -> dict[str, nn.Parameter]:
    """Freeze all other parameters; returns the trained ones by LeRobot's name, in LeRobot's order."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(is_trained(network, name, trained))
    named = dict(network.named_parameters())
    return {
        checkpoint_name(name): named[name] for name in lerobot_order(network) if named[name].requires_grad
    }


def lerobot_order(network: Network) -> list[str]:
    """The names of all parameters of the network, in the order of LeRobot's `policy.parameters()`."""
    return sorted((name for name, _ in network.named_parameters()), key=_position)


def lerobot_indices(network: Network) -> dict[str, int]:
    """LeRobot's number of each parameter, by LeRobot's name; its unused head is between language model and expert."""
    names = [checkpoint_name(name) for name in lerobot_order(network)]
    first_of_expert = next(i for i, name in enumerate(names) if ".lm_expert." in name)
    names.insert(first_of_expert, UNUSED)
    return {name: index for index, name in enumerate(names)}


def _position(name: str) -> tuple[int, int, int, bool]:
    part = next(i for i, prefix in enumerate(PARTS) if name.startswith(prefix))
    match = LAYER.fullmatch(name)
    if match is None:
        return part, 0, 0, name.endswith("bias")
    order = VISION_LAYER if match[1] == "vision" else TEXT_LAYER
    return part, int(match[2]), order.index(match[3]), match[4] == "bias"
