# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The prefix when the vision-language model is frozen: images and task once without gradients, then the state.

No other token attends to the state, so keys and values of images and task do not depend on it. The state's own token
is computed after them, with gradients, because `state_proj` may be trained. The result is that of
`Network.encode_prefix`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from smolvla_ros.policy.smolvla.network import Context, Network, Prefix
from smolvla_ros.policy.smolvla.transformer import attend, attention_bias, attention_layout, rotation


@dataclass(frozen=True)
class FrozenKeysValues:
    """Keys (rotated) and values of images and task in every layer of the language model."""

    keys: Sequence[Tensor]  # of each layer, (B, tokens, kv_heads, head_dim)
    values: Sequence[Tensor]
    valid: Tensor  # bool (B, tokens); false for padding and masked cameras


@torch.no_grad()
def frozen_keys_values(
    network: Network,
    encoded: Sequence[Tensor],
    image_valid: Sequence[bool],
    tokens: Tensor,
    tokens_valid: Tensor,
) -> FrozenKeysValues:
    """Inputs as `Network.join_prefix`, without the state."""
    state = torch.zeros(len(tokens), network.config.max_state_dim, device=tokens.device)
    prefix = network.join_prefix(encoded, image_valid, tokens, tokens_valid, state)
    before = int(
        prefix.starts_block[0].nonzero()[0]
    )  # the state comes after images and task, before the padding
    prefix = Prefix(
        prefix.embeddings[:, :before],
        prefix.valid[:, :before],
        prefix.starts_block[:, :before],
        prefix.positions[:, :before],
    )
    keys, values = network.prefix_keys_values(prefix)
    return FrozenKeysValues(keys, values, prefix.valid)


def context_with_state(network: Network, frozen: FrozenKeysValues, state: Tensor) -> Context:
    """The context of the action expert for states (B, max_state_dim)."""
    x = network.state_proj(state)[:, None]
    one = torch.ones(len(state), 1, dtype=torch.bool, device=state.device)
    valid = torch.cat([frozen.valid, one], dim=1)
    positions = frozen.valid.sum(dim=1, keepdim=True)
    turn = rotation(positions, network.head_dim)
    bias = attention_bias(valid[:, None])
    all_keys, all_values = [], []
    for layer, keys, values in zip(network.text.layers, frozen.keys, frozen.values, strict=True):
        query, key, value = layer.self_attn.queries_keys_values(layer.input_layernorm(x), turn)
        keys = torch.cat([keys.to(key.dtype), key], dim=1)
        values = torch.cat([values.to(value.dtype), value], dim=1)
        if layer is not network.text.layers[-1]:  # the output of the last layer is not used
            x = layer.output(x, attend(query, *attention_layout(keys, values), bias))
        all_keys.append(keys)
        all_values.append(values)
    prefix = Prefix(x, valid, torch.zeros_like(valid), positions)
    return network.context(prefix, all_keys, all_values)
