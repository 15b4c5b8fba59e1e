# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real-time chunking: a new chunk continues the plan that is executed while it is inferred.

In every step of the flow the chunk is corrected towards the remaining actions of the plan: fully in the rows that are
executed before the new chunk is available (the first `inference_delay`), with falling weight up to `execution_horizon`,
not at all from there on. After Black et al., "Real-Time Execution of Action Chunking Flow Policies" (arXiv 2506.07339),
in the form of LeRobot 0.4.4: there the Jacobian of the paper's correction is the identity, so the correction needs no
gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor

from smolvla_ros.policy.guidance_settings import GuidanceSettings


@dataclass(frozen=True)
class Guidance:
    """The correction towards the previous actions, constant over the flow; shapes depend on the checkpoint only."""

    previous_actions: Tensor  # float32 (B, chunk, max_action_dim), normalised; padded with zeros
    weights: Tensor  # float32 (B, chunk, 1), 0..1: weight of the correction in each row
    times: Tensor  # float32 (evaluations,), of the flow: 1 is noise, 0 is actions
    strengths: Tensor  # float32 (evaluations,), or (evaluations, B, 1, 1)

    @classmethod
    def towards(
        cls,
        previous_actions: Tensor,
        settings: GuidanceSettings,
        chunk_size: int,
        max_action_dim: int,
        times: Sequence[float],
    ) -> Guidance:
        """`previous_actions`: normalised float32 (rows, action_dim), one row or more; beyond `chunk_size` it is cut."""
        rows = previous_actions[:chunk_size]
        padding = (0, max_action_dim - rows.shape[1], 0, chunk_size - len(rows))
        end = min(settings.execution_horizon, len(rows))
        weights = prefix_weights(settings.schedule, settings.inference_delay, end, chunk_size)
        return cls(
            previous_actions=F.pad(rows, padding)[None],
            weights=weights.to(previous_actions.device)[None, :, None],
            times=torch.tensor(times, dtype=torch.float32, device=previous_actions.device),
            strengths=guidance_strengths(times, settings.max_weight).to(previous_actions.device),
        )

    @classmethod
    def joined(cls, of_chunks: Sequence[Guidance | None]) -> Guidance | None:
        """That of chunks which are computed together; None: this chunk is not guided."""
        given = [guidance for guidance in of_chunks if guidance is not None]
        if not given or len(of_chunks) == 1:
            return next(iter(given), None)
        none = replace(given[0], weights=torch.zeros_like(given[0].weights))
        rows = [none if guidance is None else guidance for guidance in of_chunks]
        return cls(
            previous_actions=torch.cat([row.previous_actions for row in rows]),
            weights=torch.cat([row.weights for row in rows]),
            times=given[0].times,
            strengths=torch.stack([row.strengths for row in rows], dim=1)[:, :, None, None],
        )

    def corrected_velocity(self, velocity: Tensor, x: Tensor, index: int) -> Tensor:
        """The velocity at x, corrected towards the previous actions; all (B, chunk, max_action_dim).

        index: of the evaluation, in `times`.
        """
        actions = x - self.times[index] * velocity  # the result if this velocity were constant
        missing = (self.previous_actions - actions) * self.weights
        return velocity - self.strengths[index] * missing


def prefix_weights(schedule: str, start: int, end: int, total: int) -> Tensor:
    """Weights of `total` rows, float32: 1 before `start`, 0 from `end` on."""
    start = min(start, end)
    falling = torch.linspace(1.0, 0.0, end - start + 2)[1:-1]
    if schedule == "zeros":
        falling = torch.zeros_like(falling)
    elif schedule == "ones":
        falling = torch.ones_like(falling)
    elif schedule == "exp":
        falling = falling * (torch.expm1(falling) / (math.e - 1))
    return torch.cat([torch.ones(start), falling, torch.zeros(total - end)])


def guidance_strengths(times: Sequence[float], max_weight: float) -> Tensor:
    """Strength of the correction at each time of the flow, float32: the paper's, which diverges, bounded."""
    done = torch.tensor([1.0 - time for time in times], dtype=torch.float32)  # the paper counts from 0 to 1
    left = 1.0 - done
    strength = left / done * ((left**2 + done**2) / left**2)
    return strength.nan_to_num(nan=max_weight, posinf=max_weight).clamp(max=max_weight)
