# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The two stages of the computation of a chunk, eager or compiled for a GPU.

With a batch of one a GPU mostly waits for Python. torch.compile fuses small operations, and with CUDA graphs
("reduce-overhead") replays each stage as a whole. On two CPU cores compiling took 80 s and made a step 8 % faster, so
the stages run eagerly there.
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
    """`Network.encode_prefix`, computed once for a chunk, and `Network.velocity`, once for each step of the flow."""

    encode_prefix: Callable[..., Context]
    velocity: Velocity

    @classmethod
    def eager(cls, network: Network) -> Stages:
        """Eager."""
        return cls(network.encode_prefix, network.velocity)

    @classmethod
    def compiled(cls, network: Network, backend: str = "inductor") -> Stages:
        """Compiled on first use, once for each set of shapes; prompts padded to one length have one.

        From then on the network encodes all images in one batch, which on a CPU is no faster.
        """
        network.batches_images = True
        options: dict[str, Any] = {"fullgraph": True, "dynamic": False, "backend": backend}
        if backend == "inductor":
            options["mode"] = "reduce-overhead"
        encode_prefix = torch.compile(network.encode_prefix, **options)
        velocity = torch.compile(network.velocity, **options)

        def encode_and_copy(*inputs: Any) -> Context:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            return _copied(encode_prefix(*inputs))  # the next run of the graph overwrites its outputs

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
