# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image tokens of a frozen vision tower on the CPU, as fast as in inference."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from smolvla_ros.policy.smolvla.acceleration import accelerate, supports_packed_weights
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.parallel import parallel_map


class PackedImageEncoder:
    """A copy of a network's vision tower and connector, float32, with the rearranged weights of inference.

    Each image is computed by itself, which keeps it in the processor's cache, and by its own share of torch's threads.
    Tokens are those of `Network.encode_images`, up to the order of sums. Not a module, so that it adds no parameters to
    one that has it.
    """

    def __init__(self, network: Network) -> None:
        cpu = torch.device("cpu")
        parts = {"vision": copy.deepcopy(network.vision), "connector": copy.deepcopy(network.connector)}
        for block in network.blocks():
            part, _, name = block.name.partition(".")
            if part in parts:
                accelerate(block._replace(module=parts[part].get_submodule(name)), cpu, "float32")
        self._vision, self._connector = parts["vision"], parts["connector"]

    def __call__(self, images: Sequence[Tensor]) -> Sequence[Tensor]:
        """The tokens (B, image tokens, width) of each camera's images, float32 (B, 3, side, side) in -1..1."""

        def encode(image: Tensor) -> Tensor:
            with torch.no_grad():
                tokens: Tensor = self._connector(self._vision(image))
            return tokens

        single = torch.split(torch.cat(list(images)), 1)
        tokens = torch.cat(parallel_map(encode, single))
        return torch.split(tokens, [len(camera) for camera in images])


def packs_images(device: torch.device, dtype: torch.dtype, uses_autocast: bool) -> bool:
    """Whether a PackedImageEncoder can stand in for the vision tower of a network of this type."""
    return device.type == "cpu" and dtype == torch.float32 and not uses_autocast and supports_packed_weights()
