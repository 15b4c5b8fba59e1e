# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The batch of the training benchmark, and the measurement of an update; for the environments of both contenders."""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

HEIGHT, WIDTH, JOINTS, CHUNK, PADDED = 480, 640, 6, 50, 32
TASK = "Pick up the red cube and place it in the box"
STAGES = ("forward", "backward", "optimizer")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--cameras", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--cached", action="store_true")
    return parser.parse_args()


def batch(options: argparse.Namespace) -> dict[str, Any]:
    """Random images uint8 (B, H, W, 3), state, actions, noise and times; the same for the same options."""
    random = torch.Generator().manual_seed(0)
    size = options.batch
    return {
        "images": {
            f"camera{index + 1}": torch.randint(
                0, 256, (size, HEIGHT, WIDTH, 3), generator=random, dtype=torch.uint8
            )
            for index in range(options.cameras)
        },
        "state": torch.randn(size, JOINTS, generator=random),
        "action": torch.randn(size, CHUNK, JOINTS, generator=random),
        "noise": torch.randn(size, CHUNK, PADDED, generator=random),
        "time": torch.rand(size, generator=random),
    }


def measure(
    options: argparse.Namespace,
    forward: Callable[[], Tensor],
    optimizer: torch.optim.Optimizer,
    prepared_s: float = 0.0,
) -> None:
    """Print a line of JSON: losses, and seconds of each stage and of CPU time, of each update but the first."""
    losses, updates = [], []
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    for _ in range(options.steps + 1):
        cpu, times = time.process_time(), [_now(options.device)]
        loss = forward()
        times.append(_now(options.device))
        loss.backward()
        times.append(_now(options.device))
        torch.nn.utils.clip_grad_norm_(parameters, 10.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(_now(options.device))
        losses.append(loss.item())
        seconds = {stage: times[index + 1] - times[index] for index, stage in enumerate(STAGES)}
        updates.append({**seconds, "cpu": time.process_time() - cpu})
    on_gpu = options.device.startswith("cuda")
    peak = (
        torch.cuda.max_memory_allocated()
        if on_gpu
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    print(
        json.dumps({"losses": losses, "updates": updates[1:], "peak_bytes": peak, "prepared_s": prepared_s})
    )


def _now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()
