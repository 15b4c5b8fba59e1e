# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time LeRobot 0.4.4's own training step at full size, in LeRobot's own environment (`make lerobot`)."""

from __future__ import annotations

import argparse

import torch
from lerobot_policy import LeRobot
from training_batch import TASK, arguments, batch, measure


def main() -> None:
    options = arguments()
    loading = argparse.Namespace(
        checkpoint=options.checkpoint,
        backbone=options.checkpoint / "vlm",
        device=options.device,
        dtype=options.precision,
    )
    lerobot = LeRobot(loading)
    policy = lerobot.policy
    policy.train()
    given = batch(options)
    images = {f"observation.images.{name}": image for name, image in given["images"].items()}

    def forward() -> torch.Tensor:
        floats = {key: image.permute(0, 3, 1, 2).float() / 255 for key, image in images.items()}
        state = {"observation.state": given["state"], "action": given["action"]}
        prepared = lerobot.preprocessor({**floats, **state, "task": [TASK] * options.batch})
        noise, times = (given[name].to(options.device) for name in ("noise", "time"))
        loss: torch.Tensor = policy.forward(prepared, noise, times)[0]
        return loss

    preset = {"lr": 1e-4, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 1e-10}
    measure(options, forward, torch.optim.AdamW(policy.parameters(), **preset))


if __name__ == "__main__":
    main()
