# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the memory suffices for a step, found out with one sample before training starts."""

from __future__ import annotations

from collections.abc import Mapping

import psutil
import torch
from torch import Tensor, nn

from smolvla_ros.training.batch import BatchPreparation, Draw
from smolvla_ros.training.demonstrations import Demonstrations
from smolvla_ros.training.errors import TrainingError
from smolvla_ros.training.objective import Objective
from smolvla_ros.training.settings import TrainingSettings

STATES = 3  # of each trained value: gradient and AdamW's two moments
MARGIN = 1.2


def check_memory(
    objective: Objective,
    parameters: Mapping[str, nn.Parameter],
    preparation: BatchPreparation,
    demonstrations: Demonstrations,
    settings: TrainingSettings,
    device: torch.device,
) -> None:
    """Raise TrainingError if a step needs more memory than is free: what one sample keeps for the backward pass."""
    kept: dict[int, int] = {}
    weights = {parameter.data_ptr() for parameter in objective.parameters()}

    def count(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    sample = demonstrations.with_images().read([Draw(0, 0)])
    batch = preparation(sample)
    noise = torch.zeros_like(batch.actions)
    time = torch.full((1,), 0.5, device=device)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        objective(batch, noise, time)
    states = STATES * sum(parameter.numel() * parameter.element_size() for parameter in parameters.values())
    sample_bytes = sum(kept.values())
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    fitting = int((free / MARGIN - states) / max(sample_bytes, 1))
    if fitting < settings.batch_size:
        raise TrainingError(
            f"batch_size {settings.batch_size} needs about "
            f"{MARGIN * (states + settings.batch_size * sample_bytes) / 1e9:.1f} GB, {free / 1e9:.1f} GB are free on "
            f"{device}; "
            + (
                f"give at most --batch-size {fitting}, with a larger --accumulate"
                if fitting > 0
                else "take a machine with more memory, or an adapter (--lora-rank 16)"
            )
        )
