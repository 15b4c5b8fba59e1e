# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SmolVLM's vision tower (a SigLIP-style ViT) and the connector that turns its patches into tokens.

All images have one size and no padding mask. Patch positions are computed with integers; transformers 4.56 and 4.57
compute them in the image's float type and are off by one patch in float32, which is deliberately not reproduced.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor, nn

from smolvla_ros.policy.checkpoint.config import VisionConfig
from smolvla_ros.policy.smolvla.linear import Linear, concatenate


class Attention(nn.Module):
    """Full attention between patches.

    `head_by_head` uses plain matrix products and rounds the scores to the type of the weights. On a CPU in bfloat16
    that is 1.6 times faster than torch's attention, which is made for longer sequences.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.head_by_head = False
        self.q_proj = Linear(config.width, config.width)
        self.k_proj = Linear(config.width, config.width)
        self.v_proj = Linear(config.width, config.width)
        self.out_proj = Linear(config.width, config.width)
        self.qkv_proj: nn.Module | None = None

    def fuse(self) -> None:
        """Make one product of queries, keys and values."""
        self.qkv_proj = concatenate([self.q_proj, self.k_proj, self.v_proj])
        del self.q_proj, self.k_proj, self.v_proj

    def forward(self, x: Tensor) -> Tensor:  # (B, patches, width), as is the result
        if self.qkv_proj is None:
            projected = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        else:
            projected = self.qkv_proj(x).chunk(3, dim=-1)
        queries, keys, values = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in projected)
        if self.head_by_head:
            attended = _attend_head_by_head(queries, keys, values)
        else:
            attended = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2)
        out: Tensor = self.out_proj(attended.flatten(2))
        return out


def _attend_head_by_head(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Inputs (B, heads, patches, head width), result (B, patches, heads, head width)."""
    batch, heads, patches, width = queries.shape
    out = queries.new_empty(batch, patches, heads, width)
    scaled = queries * width**-0.5
    for image in range(batch):
        for head in range(heads):
            scores = torch.mm(scaled[image, head], keys[image, head].t())
            out[image, :, head] = torch.mm(torch.softmax(scores, dim=-1), values[image, head])
    return out


class MLP(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = Linear(config.width, config.mlp_width, gelu=True)
        self.fc2 = Linear(config.mlp_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.fc1(x))
        return out


class Layer(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.self_attn = Attention(config)
        self.layer_norm2 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class VisionTower(nn.Module):
    """Image (B, 3, side, side) in -1..1 to patch features (B, patches, width)."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.side = config.image_size // config.patch_size  # of the position table, in patches
        self.patch_embedding = nn.Conv2d(3, config.width, config.patch_size, stride=config.patch_size)
        self.position_embedding = nn.Embedding(self.side**2, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.post_layernorm = nn.LayerNorm(config.width, eps=config.norm_eps)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patch_embedding(image)  # (B, width, rows, columns)
        rows, columns = patches.shape[2:]
        row = torch.arange(rows, device=image.device) * self.side // rows
        column = torch.arange(columns, device=image.device) * self.side // columns
        positions = (row[:, None] * self.side + column[None, :]).flatten()
        x = patches.flatten(2).transpose(1, 2).contiguous() + self.position_embedding(positions)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.post_layernorm(x)
        return out


class Connector(nn.Module):
    """Fold squares of `factor` by `factor` patches into one token of the language model's width."""

    def __init__(self, config: VisionConfig, text_width: int) -> None:
        super().__init__()
        self.factor = config.pixel_shuffle
        self.proj = Linear(config.width * self.factor**2, text_width, bias=False)

    # (B, side * side, width) -> (B, (side / factor) ** 2, text_width)
    def forward(self, x: Tensor) -> Tensor:
        batch, patches, width = x.shape
        side = int(patches**0.5)
        folded = side // self.factor
        x = x.view(batch, folded, self.factor, folded, self.factor * width)
        x = x.transpose(2, 3).reshape(batch, folded**2, self.factor**2 * width)
        out: Tensor = self.proj(x)
        return out
