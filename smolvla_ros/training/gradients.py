# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loss of one batch and its gradients, for comparison with other implementations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from smolvla_ros.arrays import Float32Array
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.training.batch import BatchPreparation, Samples
from smolvla_ros.training.flow_matching import flow_matching_loss
from smolvla_ros.training.trained_parameters import set_trained


def loss_and_gradients(
    checkpoint: str | Path,
    batch: Mapping[str, Any],
    noise: npt.ArrayLike,
    time: npt.ArrayLike,
    trained: str = "expert",
    backbone: str | Path | None = None,
) -> tuple[float, dict[str, Float32Array]]:
    """LeRobot 0.6.1's loss in float32 on the CPU, and the gradients before clipping by LeRobot's parameter names.

    batch: {"images": {camera: uint8 (B, H, W, 3)}, "state": (B, n), "action": (B, T, n), "task": [B texts],
        "action_is_pad": bool (B, T)}, in robot units; the last may be absent.
    noise: (B, T, max_action_dim). time: (B,). trained: one of `trained_parameters.TRAINED`.

    A parameter that is trained but has no effect on the loss is left out. Raises CheckpointError or PolicyError if
    checkpoint or batch cannot be used.
    """
    device = torch.device("cpu")
    spec = CheckpointSpec.load(checkpoint, backbone)
    network = spec.empty_network()
    spec.weights.load(network, device, "float32", accelerates=False)
    network.batches_images = True
    parameters = set_trained(network, trained)
    is_pad = batch.get("action_is_pad")
    prepared = BatchPreparation(spec, device)(
        Samples(
            images={name: torch.tensor(np.asarray(image)) for name, image in batch["images"].items()},
            state=_float32(batch["state"]),
            action=_float32(batch["action"]),
            action_is_pad=None if is_pad is None else torch.tensor(np.asarray(is_pad, dtype=bool)),
            tasks=list(batch["task"]),
        )
    )
    loss, _ = flow_matching_loss(
        network,
        prepared.context(network),
        prepared.actions,
        prepared.action_is_pad,
        _float32(noise),
        _float32(time),
        spec.config.action_dim,
    )
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad.numpy() for name, p in parameters.items() if p.grad is not None}
    return loss.item(), gradients


def _float32(values: npt.ArrayLike) -> torch.Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)
