# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The optimizer and the schedule of LeRobot 0.6.1's preset for SmolVLA.

Source: LeRobot 0.6.1, policies/smolvla/configuration_smolvla.py, optim/optimizers.py, optim/schedulers.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from smolvla_ros.settings import Settings, setting

LARGEST_DECAY = 0.999999  # a moving average with a decay of 1 would never change


@dataclass(frozen=True)
class OptimizerSettings(Settings):
    """AdamW, its schedule and clipping."""

    lr: float = setting(1e-4, "largest learning rate", bounds=(1e-12, None))
    beta1: float = setting(0.9, "AdamW's decay of the mean of gradients", bounds=(0, LARGEST_DECAY))
    beta2: float = setting(0.95, "AdamW's decay of their mean squares", bounds=(0, LARGEST_DECAY))
    eps: float = setting(1e-8, "AdamW's epsilon", bounds=(0, None))
    weight_decay: float = setting(1e-10, "AdamW's weight decay", bounds=(0, None))
    grad_clip_norm: float = setting(10.0, "gradients are scaled down to this norm", bounds=(0, None))
    warmup_steps: int = setting(1000, "steps in which the learning rate rises", bounds=(0, None))
    decay_steps: int = setting(30_000, "step at which the learning rate is decay_lr", bounds=(1, None))
    decay_lr: float = setting(2.5e-6, "learning rate at the end", bounds=(0, None))


def lr_factor(step: int, steps: int, settings: OptimizerSettings) -> float:
    """The learning rate of update `step` (from 0) of a run of `steps`, relative to the largest one.

    A run that is shorter than decay_steps has a schedule that is shorter by the same factor. The cosine counts from
    step 0, not from the end of the rise, as in LeRobot.
    """
    warmup, decay = settings.warmup_steps, settings.decay_steps
    if steps < decay:
        warmup, decay = int(warmup * steps / decay), steps
    if step < warmup:
        start = 1 / (warmup + 1)
        return start if step <= 0 else 1 + (start - 1) * (1 - step / warmup)
    lowest = settings.decay_lr / settings.lr
    return (1 - lowest) * 0.5 * (1 + math.cos(math.pi * min(step, decay) / decay)) + lowest


def make_optimizer(
    parameters: Iterable[nn.Parameter], settings: OptimizerSettings, fused: bool = True
) -> torch.optim.AdamW:
    """AdamW; without `fused` it computes bfloat16 parameters as LeRobot does, operation for operation."""
    return torch.optim.AdamW(
        list(parameters),
        lr=settings.lr,
        betas=(settings.beta1, settings.beta2),
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        fused=fused or None,
    )


def make_schedule(
    optimizer: torch.optim.Optimizer, steps: int, settings: OptimizerSettings
) -> torch.optim.lr_scheduler.LambdaLR:
    """The schedule of a run of `steps` updates; step it after each update."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, steps, settings))
