# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read a dataset with LeRobot, in its own environment, and save the values of every frame.

Images need torchcodec with FFmpeg; without it they are left out. With a third argument, so many images are decoded and
none is saved: those of a long dataset do not fit into memory.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torchvision_stand_in  # noqa: F401  # before LeRobot

# isort: split
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def has_decoder() -> bool:
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def main() -> None:
    root, output = Path(sys.argv[1]), Path(sys.argv[2])
    dataset = LeRobotDataset("local/check", root=root, video_backend="torchcodec")
    images = has_decoder()
    decoded = int(sys.argv[3]) if len(sys.argv) > 3 else None
    keeps_images = images and decoded is None
    items = [dataset[i] if keeps_images else dataset.hf_dataset[i] for i in range(len(dataset))]
    for i in np.linspace(0, len(dataset) - 1, decoded or 0).astype(int).tolist() if images else ():
        assert all(np.ptp(np.asarray(dataset[i][key])) > 0.0 for key in dataset.meta.video_keys)
    columns = {
        key: np.stack([np.asarray(item[key]) for item in items])
        for key in items[0]
        if not isinstance(items[0][key], str)
    }
    tasks = [dataset.meta.tasks.iloc[int(item["task_index"])].name for item in items]
    np.savez(output, **columns)
    stats = {name: sorted(values) for name, values in dataset.meta.stats.items()}
    print(json.dumps({"frames": len(dataset), "images": images, "tasks": tasks, "stats": stats}))


if __name__ == "__main__":
    main()
