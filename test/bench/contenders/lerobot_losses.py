# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Train a checkpoint with LeRobot, in its own environment, on given batches with given noise; saves the losses.

python lerobot_losses.py CHECKPOINT BACKBONE BATCHES.npz LOSSES.npy

In float32, with the optimizer, schedule and clipping of the policy's presets. The loss is that of LeRobot 0.6, in 0.4
too: the mean over the joints of the actions before the end of the episode.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot_policy import LeRobot


def main() -> None:
    checkpoint, backbone, batches, output = map(Path, sys.argv[1:])
    options = argparse.Namespace(checkpoint=checkpoint, backbone=backbone, device="cpu", dtype="float32")
    lerobot = LeRobot(options)
    policy = lerobot.policy
    given = np.load(batches)
    updates = len(given["task"])
    optimizer = policy.config.get_optimizer_preset().build(policy.parameters())
    schedule = policy.config.get_scheduler_preset().build(optimizer, updates)
    errors: list[torch.Tensor] = []  # (B, T, max_action_dim), of each call
    forward = policy.model.forward

    def forward_and_keep(*arguments: Any, **named: Any) -> torch.Tensor:
        errors.append(forward(*arguments, **named))
        return errors[-1]

    policy.model.forward = forward_and_keep
    policy.train()
    losses = []
    for update in range(updates):
        batch = {key: torch.from_numpy(given[key][update]) for key in given if key != "task"}
        images = {key: batch[key].permute(0, 3, 1, 2) / 255 for key in policy.config.image_features}
        noise, time, is_pad = (batch.pop(name) for name in ("noise", "time", "action_is_pad"))
        prepared = lerobot.preprocessor({**batch, **images, "task": given["task"][update].tolist()})
        policy.forward(prepared, noise, time)
        loss = errors[-1][:, :, : batch["action"].shape[2]][~is_pad].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), policy.config.optimizer_grad_clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(loss.item())
    np.save(output, losses)


if __name__ == "__main__":
    main()
