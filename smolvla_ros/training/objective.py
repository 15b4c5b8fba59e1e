# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network with its loss as one module, as Accelerate distributes and casts it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from smolvla_ros.policy.smolvla.network import Context, Network
from smolvla_ros.training.batch import Batch
from smolvla_ros.training.flow_matching import counted_actions, flow_errors
from smolvla_ros.training.frozen_prefix import FrozenKeysValues, context_with_state, frozen_keys_values
from smolvla_ros.training.packed_image_encoder import PackedImageEncoder


class Objective(nn.Module):
    """Sums of errors. Means are taken over all processes and accumulated batches, which only the trainer knows.

    freezes_prefix: the vision-language model is not trained; packs_images: and its image tokens are computed with
    packed weights (see `packed_image_encoder.packs_images`), with the weights that the network has now.
    """

    def __init__(
        self, network: Network, action_dim: int, freezes_prefix: bool, packs_images: bool = False
    ) -> None:
        super().__init__()
        network.batches_images = True  # threads of their own would not know about autocast
        self.network = network
        self.action_dim = action_dim
        self.freezes_prefix = freezes_prefix
        packs = freezes_prefix and packs_images
        self._encode_images = PackedImageEncoder(network) if packs else network.encode_images

    def forward(
        self, batch: Batch, noise: Tensor, time: Tensor, frozen: FrozenKeysValues | None = None
    ) -> Tensor:
        """Sum of the weighted squared errors of the actions that count, (). frozen: keys and values from a cache."""
        errors = flow_errors(self.network, self.context(batch, frozen), batch.actions, noise, time)
        return (errors[:, :, : self.action_dim] * _weights(batch)[:, :, None]).sum()

    def context(self, batch: Batch, frozen: FrozenKeysValues | None = None) -> Context:
        """The encoded prefix."""
        if not self.freezes_prefix:
            return batch.context(self.network)
        frozen = self.frozen(batch) if frozen is None else frozen
        return context_with_state(self.network, frozen, batch.state)

    def frozen(self, batch: Batch) -> FrozenKeysValues:
        """Keys and values of images and task, for `freezes_prefix`."""
        with torch.no_grad():
            encoded = self._encode_images(batch.images)
        return frozen_keys_values(self.network, encoded, batch.image_valid, batch.tokens, batch.tokens_valid)

    def count(self, batch: Batch) -> float:
        """How many values the sum of `forward` has, weighted."""
        return float(_weights(batch).sum()) * self.action_dim


def _weights(batch: Batch) -> Tensor:
    """Of each action in the loss, float32 (B, T)."""
    shape = (batch.actions.shape[0], batch.actions.shape[1])
    counted = counted_actions(batch.action_is_pad, shape, batch.actions.device)
    return counted if batch.action_weights is None else counted * batch.action_weights
