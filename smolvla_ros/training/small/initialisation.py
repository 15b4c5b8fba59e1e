# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""First weights of the small network, with which it learns to localise objects from few images.

Patches begin as low-frequency cosine patterns in brightness and two colour differences, the position table as x, y and
waves of them, and embeddings of words and connector are smaller than torch's: without it a small network stays at the
mean of its targets for long.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from smolvla_ros.policy.smolvla.network import Network

COLOURS = ((0.577, 0.577, 0.577), (0.707, 0.0, -0.707), (-0.408, 0.816, -0.408))  # orthonormal
TEXT_STD = 0.02
PROJECTION_STD = 0.02


def initialise(network: Network, seed: int) -> None:
    """Set all parameters, from one random generator."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0.0, module.in_features**-0.5, generator=random)
                if module.bias is not None:
                    module.bias.zero_()
        for layer in (*network.vision.layers, *network.text.layers, *network.expert.layers):
            for name, weight in layer.named_parameters():  # a residual branch begins small
                if name.endswith(("o_proj.weight", "out_proj.weight", "down_proj.weight", "fc2.weight")):
                    weight.mul_(0.3)
        network.text.embed_tokens.weight.normal_(0.0, TEXT_STD, generator=random)
        # The network multiplies tokens of words and images by the square root of the width.
        scale = network.text.embed_tokens.embedding_dim**-0.5
        network.connector.proj.weight.mul_(scale)
        network.action_out_proj.weight.mul_(0.1)
        network.vision.patch_embedding.weight.copy_(_cosine_patterns(network.vision.patch_embedding.weight))
        assert network.vision.patch_embedding.bias is not None
        network.vision.patch_embedding.bias.zero_()
        network.vision.position_embedding.weight.copy_(_positions(network.vision.position_embedding.weight))


def _cosine_patterns(like: Tensor) -> Tensor:
    """Cosine patterns (width, 3, side, side) of unit length, lowest frequencies first, for each of COLOURS."""
    width, _, side, _ = like.shape
    grid = (torch.arange(side) + 0.5) * math.pi / side
    frequencies = sorted(
        ((u, v) for u in range(side) for v in range(side)), key=lambda f: f[0] ** 2 + f[1] ** 2
    )
    patterns = []
    for u, v in frequencies[: math.ceil(width / len(COLOURS))]:
        pattern = torch.cos(u * grid)[:, None] * torch.cos(v * grid)[None, :]
        patterns += [torch.tensor(colour)[:, None, None] * pattern / pattern.norm() for colour in COLOURS]
    return torch.stack(patterns[:width])


def _positions(like: Tensor) -> Tensor:
    """A position table (side * side, width): sine and cosine of x and y at rising frequencies, and x and y."""
    places, width = like.shape
    side = math.isqrt(places)
    x = torch.arange(places) % side / (side - 1) * 2 - 1
    y = torch.arange(places) // side / (side - 1) * 2 - 1
    columns = [x, y]
    frequency = 1.0
    while len(columns) < width:
        for axis in (x, y):
            columns += [torch.sin(frequency * math.pi * axis), torch.cos(frequency * math.pi * axis)]
        frequency *= 1.3
    return 0.3 * torch.stack(columns[:width], dim=1)
