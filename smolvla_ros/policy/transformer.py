# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Llama-style layer that language model and action expert share, and SmolVLA's attention around it.

The two read different things in one attention, so a layer has no `forward`: it offers its queries, keys and
values and, given what attention brought back, its output. Types matter: weights may be bfloat16 while norms,
rotations, scores and the softmax are float32, and a residual has the type of the layer's output. The
checkpoints were trained so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor, nn

from smolvla_ros.policy.config import TransformerConfig

# SmolVLA was trained with this wavelength, not with the rope_theta of the language model (100000).
MAX_WAVELENGTH = 10_000.0

Rotation = tuple[Tensor, Tensor]  # sine and cosine, each (B, tokens, 1, head_dim / 2), float32


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        y = x.to(torch.float32)
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * y.to(x.dtype)


class Projections(nn.Module):
    """Queries, keys, values and output of one attention; keys and values come from `kv_input` features."""

    def __init__(self, config: TransformerConfig, kv_input: int) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.q_proj = nn.Linear(config.width, config.heads * config.head_dim, bias=False)
        self.k_proj = nn.Linear(kv_input, config.kv_heads * config.head_dim, bias=False)
        self.v_proj = nn.Linear(kv_input, config.kv_heads * config.head_dim, bias=False)
        self.o_proj = nn.Linear(config.heads * config.head_dim, config.width, bias=False)

    def queries(self, x: Tensor) -> Tensor:  # (B, tokens, heads, head_dim)
        return self._split(self.q_proj, x)

    def keys(self, x: Tensor) -> Tensor:  # (B, tokens, kv_heads, head_dim)
        return self._split(self.k_proj, x)

    def values(self, x: Tensor) -> Tensor:  # (B, tokens, kv_heads, head_dim)
        return self._split(self.v_proj, x)

    def _split(self, projection: nn.Linear, x: Tensor) -> Tensor:
        y: Tensor = projection(x.to(projection.weight.dtype))
        return y.view(*y.shape[:2], -1, self.head_dim)


class MLP(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.mlp_width, bias=False)
        self.up_proj = nn.Linear(config.width, config.mlp_width, bias=False)
        self.down_proj = nn.Linear(config.mlp_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    def __init__(self, config: TransformerConfig, kv_input: int | None = None) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.width, config.norm_eps)
        self.self_attn = Projections(config, kv_input or config.width)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_eps)
        self.mlp = MLP(config)

    def output(self, x: Tensor, attended: Tensor) -> Tensor:
        """The output for the input `x` and what attention brought back, (B, tokens, heads * head_dim)."""
        y: Tensor = self.self_attn.o_proj(attended.to(self.self_attn.o_proj.weight.dtype))
        y += x  # in place: the sum takes the type of the projection, not that of a float32 input
        out: Tensor = self.mlp(self.post_attention_layernorm(y))
        return out + y


class Layers(nn.ModuleList):
    """A list of `Layer`, which type checkers would otherwise not know."""

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
    """Who (dim 1) may look at whom (dim 2), (B, tokens, tokens): valid tokens of its block and of those before.

    `starts_block` (B, tokens) marks the first token of each block after the first: none marked is one block
    in which all see all, all marked is causal.
    """
    block = torch.cumsum(starts_block, dim=1)
    visible = block[:, None, :] <= block[:, :, None]
    return visible & valid[:, None, :] & valid[:, :, None]


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Grouped-query attention; queries (B, Q, heads, d), keys and values (B, K, kv_heads, d), mask (B, Q, K).

    A query that may look at nothing gets the mean of all values, not NaN; only padding does that, and nobody
    reads it.
    """
    groups = queries.shape[2] // keys.shape[2]
    q = queries.to(torch.float32).transpose(1, 2)
    k = keys.to(torch.float32).repeat_interleave(groups, dim=2).transpose(1, 2)
    v = values.repeat_interleave(groups, dim=2).transpose(1, 2)
    scores = torch.matmul(q, k.transpose(2, 3)) * queries.shape[-1] ** -0.5
    scores = scores.masked_fill(~mask[:, None], torch.finfo(torch.float32).min)
    probabilities = torch.softmax(scores, dim=-1).to(v.dtype)
    return torch.matmul(probabilities, v).transpose(1, 2).flatten(2)
