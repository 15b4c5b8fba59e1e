# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Less memory for more time: the layers keep their inputs only, and are computed again in the backward pass."""

from __future__ import annotations

from functools import partial

from torch.utils.checkpoint import checkpoint

from smolvla_ros.policy.smolvla.network import Network


def checkpoint_layers(network: Network) -> None:
    """Let autograd keep only the inputs of every layer; losses and gradients stay the same to the last bit."""
    methods = [(layer, "forward") for layer in network.vision.layers]
    methods += [(layer, "output") for part in (network.text, network.expert) for layer in part.layers]
    for layer, method in methods:
        setattr(layer, method, partial(checkpoint, getattr(layer, method), use_reentrant=False))
