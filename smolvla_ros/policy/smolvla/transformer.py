# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Llama-style layer of language model and action expert, and SmolVLA's attention.

Both may take part in one attention, so a layer has no `forward`: it computes queries, keys and values, and its output
from the result of the attention. Types are as in training: weights may be bfloat16, while norms, rotations, scores and
softmax are float32, and a residual has the type of the layer's output.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor, nn

from smolvla_ros.policy.checkpoint.config import TransformerConfig
from smolvla_ros.policy.smolvla.linear import Linear, concatenate

# SmolVLA was trained with this wavelength, not with the rope_theta of the language model (100000).
MAX_WAVELENGTH = 10_000.0

Rotation = tuple[Tensor, Tensor]  # sine and cosine, each (B, tokens, 1, head_dim / 2), float32


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        # rounded before the weight is applied
        return self.weight * F.rms_norm(x, self.weight.shape, eps=self.eps)


class Projections(nn.Module):
    """Queries, keys, values and output of one attention; keys and values come from `kv_input` features.

    `fuse` makes one product of queries, keys and values if all three have the same input.
    """

    def __init__(self, config: TransformerConfig, kv_input: int | None) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.is_self_attention = kv_input is None
        self.widths = [heads * config.head_dim for heads in (config.heads, config.kv_heads, config.kv_heads)]
        queries, keys, values = self.widths
        self.q_proj = Linear(config.width, queries, bias=False)
        self.k_proj = Linear(kv_input or config.width, keys, bias=False)
        self.v_proj = Linear(kv_input or config.width, values, bias=False)
        self.o_proj = Linear(queries, config.width, bias=False)
        self.qkv_proj: nn.Module | None = None

    def fuse(self) -> None:
        if self.is_self_attention:
            self.qkv_proj = concatenate([self.q_proj, self.k_proj, self.v_proj])
            del self.q_proj, self.k_proj, self.v_proj

    def queries_keys_values(self, x: Tensor, turn: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Each (B, tokens, heads or kv_heads, head_dim), of self-attention; queries and keys are
        rotated.
        """
        queries, keys, values = self.widths
        if self.qkv_proj is None:
            q, k = rotate(self.queries(x), turn), rotate(self._heads(self.k_proj(x)), turn)
            return q, k, self._heads(self.v_proj(x))
        to_rotate, v = torch.split(self.qkv_proj(x), [queries + keys, values], dim=-1)
        rotated = rotate(self._heads(to_rotate), turn)
        heads = queries // self.head_dim
        return rotated[:, :, :heads], rotated[:, :, heads:], self._heads(v)

    def queries(self, x: Tensor) -> Tensor:  # (B, tokens, heads, head_dim)
        return self._heads(self.q_proj(x))

    def keys_values(self, for_keys: Tensor, for_values: Tensor) -> tuple[Tensor, Tensor]:
        """Each (B, tokens, kv_heads, head_dim)."""
        return self._heads(self.k_proj(for_keys)), self._heads(self.v_proj(for_values))

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, self.head_dim)


class MLP(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(config.width, config.mlp_width, bias=False)
        self.up_proj = Linear(config.width, config.mlp_width, bias=False)
        self.down_proj = Linear(config.mlp_width, config.width, bias=False)
        self.gate_up_proj: nn.Module | None = None

    def fuse(self) -> None:
        self.gate_up_proj = concatenate([self.gate_proj, self.up_proj])
        del self.gate_proj, self.up_proj

    def forward(self, x: Tensor) -> Tensor:
        if self.gate_up_proj is None:
            gate, up = self.gate_proj(x), self.up_proj(x)
        else:
            gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        out: Tensor = self.down_proj(F.silu(gate) * up)
        return out


class Layer(nn.Module):
    def __init__(self, config: TransformerConfig, kv_input: int | None = None) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.width, config.norm_eps)
        self.self_attn = Projections(config, kv_input)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_eps)
        self.mlp = MLP(config)

    def output(self, x: Tensor, attended: Tensor) -> Tensor:
        """The output for the input `x` and the result of attention, (B, tokens, heads * head_dim)."""
        y: Tensor = self.self_attn.o_proj(attended)
        y += x  # in place: the sum takes the type of the projection, not that of a float32 input
        out: Tensor = self.mlp(self.post_attention_layernorm(y))
        return out + y


class Layers(nn.ModuleList):
    """A list of `Layer`, typed."""

    def __iter__(self) -> Iterator[Layer]:
        return cast(Iterator[Layer], super().__iter__())


def rotation(positions: Tensor, head_dim: int) -> Rotation:
    """Rotary position embedding for positions (B, tokens)."""
    exponents = 2.0 / head_dim * torch.arange(head_dim // 2, dtype=torch.float32, device=positions.device)
    angles = positions[..., None].to(torch.float32) / MAX_WAVELENGTH**exponents
    return torch.sin(angles)[:, :, None], torch.cos(angles)[:, :, None]


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Turn the two halves of every head of x (B, tokens, heads, head_dim) against each other."""
    sine, cosine = by
    first, second = x.to(torch.float32).chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1).to(x.dtype)


def block_mask(valid: Tensor, starts_block: Tensor) -> Tensor:
    """Which queries (dim 1) may attend to which keys (dim 2): valid ones of the same block and earlier ones.

    Bool (B, tokens, tokens). `starts_block` (B, tokens) marks the first token of each block after the first: none
    marked is full attention, all marked is causal.
    """
    block = torch.cumsum(starts_block, dim=1)
    visible = block[:, None, :] <= block[:, :, None]
    return visible & valid[:, None, :] & valid[:, :, None]


def attention_bias(visible: Tensor) -> Tensor:
    """The bias that `attend` adds to the scores, from a mask (B, Q, K) that is true where attention is allowed."""
    # not -inf: a row of padding, masked completely, must not become NaN
    lowest = torch.finfo(torch.float32).min
    return torch.where(visible, 0.0, lowest)[:, None, None]


def attention_layout(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values (B, K, kv_heads, d) in the layout of `attend`."""
    return keys.to(torch.float32).permute(0, 2, 3, 1).contiguous(), values.transpose(1, 2).contiguous()


def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """Grouped-query attention, (B, Q, heads * d).

    queries (B, Q, heads, d); keys float32 (B, kv_heads, d, K); values (B, kv_heads, K, d); `bias` from
    `attention_bias`, or None where every query attends to every key. Scores and softmax are float32, the rest has
    the type of the values. A query that attends to no key gets the mean of all values; only padding does, and its
    result is not used.
    """
    batch, count, heads, width = queries.shape
    kv_heads = keys.shape[1]
    groups = heads // kv_heads  # query heads that share a key head are further rows of it
    q = queries.to(torch.float32).view(batch, count, kv_heads, groups, width).permute(0, 2, 3, 1, 4)
    scores = torch.matmul(q.reshape(batch, kv_heads, groups * count, width), keys) * width**-0.5
    if bias is not None:
        scores = (scores.view(batch, kv_heads, groups, count, -1) + bias).view(scores.shape)
    probabilities = torch.softmax(scores, dim=-1).to(values.dtype)
    out = torch.matmul(probabilities, values).view(batch, kv_heads, groups, count, width)
    return out.permute(0, 3, 1, 2, 4).flatten(2)
