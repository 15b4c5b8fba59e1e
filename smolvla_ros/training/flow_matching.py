# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The objective of SmolVLA: the velocity of the flow from actions to noise, as LeRobot 0.6.1 trains it.

    x_t = t noise + (1 - t) actions        target = noise - actions        error = (target - velocity(x_t, t))^2

The prefix has been encoded before (`Network.encode_prefix`), so that it can be computed once and kept.
Source: LeRobot 0.6.1, policies/smolvla/modeling_smolvla.py and policies/common/flow_matching.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smolvla_ros.policy.smolvla.network import Context, Network

TIME_SCALE, TIME_OFFSET, TIME_ALPHA = 0.999, 0.001, 1.5  # t = 0.999 Beta(1.5, 1) + 0.001


def sample_times(count: int, generator: torch.Generator | None = None) -> Tensor:
    """Times of the flow, float32 (count,) on the CPU, distributed as 0.999 Beta(1.5, 1) + 0.001.

    Beta(a, 1) has the distribution function x^a, so U^(1/a) of a uniform U is distributed so.
    """
    uniform = torch.rand(count, generator=generator)
    return TIME_SCALE * uniform ** (1 / TIME_ALPHA) + TIME_OFFSET


def flow_errors(network: Network, context: Context, actions: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Squared errors of the velocity, float32 (B, T, max_action_dim).

    context: of `Network.encode_prefix` with its padding, batch B. actions: float32 (B, T, max_action_dim), normalised,
    and padded with zeros. noise: the same shape. time: float32 (B,).
    """
    t = time[:, None, None]
    x = t * noise + (1 - t) * actions
    velocity = network.velocity(context, x, network.embed_times(time)[:, None])
    return (noise - actions - velocity.to(torch.float32)).square()


def counted_actions(action_is_pad: Tensor | None, shape: tuple[int, int], device: torch.device) -> Tensor:
    """Which actions count in the loss, float32 (B, T): 1, or 0 for those after the end of the episode."""
    return torch.ones(shape, device=device) if action_is_pad is None else (~action_is_pad).to(torch.float32)


def flow_matching_loss(
    network: Network,
    context: Context,
    actions: Tensor,
    action_is_pad: Tensor | None,
    noise: Tensor,
    time: Tensor,
    action_dim: int,
) -> tuple[Tensor, Tensor]:
    """The mean error of the batch, (), and that of each sample, (B,); other arguments as in `flow_errors`.

    Only the first `action_dim` columns count, and only actions before the end of the episode: `action_is_pad`, bool
    (B, T), is true after it. The first is not the mean of the second where samples have different numbers of actions.
    """
    errors = flow_errors(network, context, actions, noise, time)[:, :, :action_dim]
    counted = counted_actions(action_is_pad, (errors.shape[0], errors.shape[1]), errors.device)
    sums = (errors * counted[:, :, None]).sum(dim=(1, 2))
    counts = counted.sum(dim=1) * action_dim
    return sums.sum() / counts.sum().clamp(min=1), sums / counts.clamp(min=1)
