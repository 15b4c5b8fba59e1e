# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Load a checkpoint with LeRobot 0.4.4, in its own environment, train it for ten updates, and save it.

python lerobot_checkpoint.py CHECKPOINT NEW_FOLDER ACTIONS.npz     # normalised actions before and after
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from lerobot_policy import LeRobot
from worker import Stopwatch, sample_question

UPDATES, BATCH = 10, 2


def main() -> None:
    checkpoint, output, actions = map(Path, sys.argv[1:])
    options = argparse.Namespace(
        checkpoint=checkpoint, backbone=checkpoint / "vlm", device="cpu", dtype="float32"
    )
    lerobot = LeRobot(options, Stopwatch("cpu"))
    policy = lerobot.policy
    chunk = policy.config.chunk_size
    cameras = [key.removeprefix("observation.images.") for key in policy.config.image_features]
    asked = sample_question(cameras, chunk)
    before = lerobot.predict(asked)
    random = torch.Generator().manual_seed(0)
    images = {
        f"observation.images.{name}": torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        for name, image in asked.images.items()
    }
    batch = lerobot.preprocessor(
        {
            **{key: image.expand(BATCH, -1, -1, -1) for key, image in images.items()},
            "observation.state": torch.randn(BATCH, 6, generator=random),
            "action": torch.randn(BATCH, chunk, 6, generator=random),
            "task": [asked.task] * BATCH,
        }
    )
    policy.train()
    optimizer = torch.optim.AdamW((p for p in policy.parameters() if p.requires_grad), 1e-3)
    losses = []
    for _ in range(UPDATES):
        loss = policy.forward(batch)[0]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    policy.eval()
    policy.reset()
    np.savez(actions, before=before, after=lerobot.predict(asked), losses=losses)
    policy.save_pretrained(output)
    for name in ("policy_preprocessor", "policy_postprocessor"):
        for file in checkpoint.glob(f"{name}*"):
            (output / file.name).write_bytes(file.read_bytes())


if __name__ == "__main__":
    main()
