# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The two parts in which a chunk is computed, as written or compiled for a GPU.

In a chunk of one observation a GPU waits for Python most of the time. torch.compile fuses the small operations, and
with CUDA graphs ("reduce-overhead") it replays each part as a whole. On two CPU cores compiling took 80 s and won 8 %
of a step, so there the parts run as written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from smolvla_ros.policy.smolvla.network import Context, Network, Velocity


@dataclass(frozen=True)
class Stages:
    """What is computed once for a chunk (`Network.encode_prefix`), and once for each step (`Network.velocity`)."""

    encode_prefix: Callable[..., Context]
    velocity: Velocity

    @classmethod
    def of(cls, network: Network) -> Stages:
        """As written."""
        return cls(network.encode_prefix, network.velocity)

    @classmethod
    def compiled(cls, network: Network, backend: str = "inductor") -> Stages:
        """Compiled on first use, once for each set of shapes; prompts padded to one length have one.

        The network's cameras are seen in one batch from here on, which on a CPU gains nothing.
        """
        network.batches_images = True
        options: dict[str, Any] = {"fullgraph": True, "dynamic": False, "backend": backend}
        if backend == "inductor":
            options["mode"] = "reduce-overhead"
        encode_prefix = torch.compile(network.encode_prefix, **options)
        velocity = torch.compile(network.velocity, **options)

        def encode_and_copy(*inputs: Any) -> Context:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            return _copied(
                encode_prefix(*inputs)
            )  # a graph's outputs are overwritten when a graph runs again

        def velocity_of_step(context: Context, x: Tensor, time: Tensor) -> Tensor:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            return velocity(context, x, time)

        return cls(encode_and_copy, velocity_of_step)


def _copied(context: Context) -> Context:
    cross_attention_bias = context.cross_attention_bias
    return replace(
        context,
        keys=[key.clone() for key in context.keys],
        values=[value.clone() for value in context.values],
        self_attention_bias=context.self_attention_bias.clone(),
        cross_attention_bias=None if cross_attention_bias is None else cross_attention_bias.clone(),
        self_rotation=(context.self_rotation[0].clone(), context.self_rotation[1].clone()),
        cross_rotation=(context.cross_rotation[0].clone(), context.cross_rotation[1].clone()),
    )
