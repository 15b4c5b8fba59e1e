# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of predicted actions on recorded frames, beside holding still and the mean action."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator

from smolvla_ros.arrays import FloatArray
from smolvla_ros.text_table import align_columns
from smolvla_ros.training.batch import BatchPreparation
from smolvla_ros.training.demonstrations import Demonstrations
from smolvla_ros.training.objective import Objective
from smolvla_ros.training.task import TrainingTask
from smolvla_ros.training.trainer import spread_draws
from smolvla_ros.units import CalibrationError, JointUnits

FRAMES = 64


@dataclass(frozen=True)
class ActionErrors:
    """Mean absolute errors (joints,) of the actions of a chunk, in robot units."""

    policy: FloatArray
    hold_still: FloatArray  # the state at the beginning of the chunk
    mean_action: FloatArray  # of the datasets
    is_held_out: bool  # whether the frames are of episodes that were not trained on


@torch.no_grad()
def action_errors(
    task: TrainingTask,
    objective: Objective,
    preparation: BatchPreparation,
    demonstrations: Demonstrations,
    is_held_out: bool,
    accelerator: Accelerator,
    batch_size: int,
) -> ActionErrors:
    """Predict chunks for frames spread over all episodes; noise is the same at every call."""
    network, action = objective.network, task.spec.processors.action
    shape = (network.config.chunk_size, network.config.max_action_dim)
    generator = torch.Generator().manual_seed(0)
    sums, count = np.zeros((3, task.spec.config.action_dim)), 0
    mean = torch.from_numpy(task.mean_action)
    for draws in spread_draws(demonstrations, FRAMES, batch_size):
        samples = demonstrations.read(draws)
        batch = preparation(samples)
        noise = torch.randn(len(draws), *shape, generator=generator).to(accelerator.device)
        with accelerator.autocast():
            normalized = network.sample(objective.context(batch), noise)
        predicted = action.unnormalize(normalized[:, :, : task.spec.config.action_dim].float().cpu())
        assert samples.action_is_pad is not None
        counted = ~samples.action_is_pad
        for index, guess in enumerate((predicted, samples.state[:, None], mean)):
            sums[index] += (guess - samples.action).abs()[counted].sum(dim=0).numpy()
        count += int(counted.sum())
    policy, hold_still, mean_action = sums / max(count, 1)
    return ActionErrors(policy, hold_still, mean_action, is_held_out)


def error_table(errors: ActionErrors, units: Sequence[JointUnits], names: Sequence[str]) -> tuple[str, ...]:
    """Lines of text: one a joint, in degrees where the units allow it, and the joints' mean in degrees."""
    rows: list[tuple[str, ...]] = [("joint", "policy", "hold still", "mean action", "")]
    columns = (errors.policy, errors.hold_still, errors.mean_action)
    in_degrees: list[FloatArray] = []
    for joint, name in enumerate(names):
        values = np.array([column[joint] for column in columns])
        degrees = _degrees(values, units[joint]) if joint < len(units) else None
        if degrees is not None:
            in_degrees.append(degrees)
        shown = values if degrees is None else degrees
        unit = "deg" if degrees is not None else "of the dataset's unit"
        rows.append((name, *(f"{value:.2f}" for value in shown), unit))
    if in_degrees:
        rows.append(("mean", *(f"{value:.2f}" for value in np.mean(in_degrees, axis=0)), "deg"))
    return align_columns(rows)


def _degrees(differences: FloatArray, units: JointUnits) -> FloatArray | None:
    """Differences of a joint in degrees; None if its calibration is missing, or it is a gripper in percent."""
    if units.unit == "range_0_100":
        return None
    try:
        zero = units.lerobot_to_rad(0.0)
        return (
            np.array([abs(units.lerobot_to_rad(float(each)) - zero) for each in differences]) * 180 / math.pi
        )
    except CalibrationError:
        return None


def joint_names(features: dict[str, object], count: int) -> list[str]:
    """The names of the action's values in a dataset, without the suffix of positions."""
    names = features.get("names")
    if isinstance(names, list) and len(names) == count:
        return [str(name).removesuffix(".pos") for name in names]
    return [f"action {index}" for index in range(count)]
