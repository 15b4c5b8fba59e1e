# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What check-lerobot runs in LeRobot's own environment, 0.4.4 or 0.6.1: write a dataset, delete an episode of one.

python lerobot_roundtrip.py make FOLDER
python lerobot_roundtrip.py delete FOLDER NEW_FOLDER     # its first episode
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np

TORCHVISION = (
    "",
    ".io",
    ".transforms",
    ".transforms.functional",
    ".transforms.v2",
    ".transforms.v2.functional",
)
if importlib.util.find_spec("torchvision") is None:  # imported, not used here
    for part in TORCHVISION:
        name = f"torchvision{part}"
        sys.modules[name] = MagicMock(__path__=[], __spec__=ModuleSpec(name, None))

from lerobot.datasets.dataset_tools import delete_episodes  # noqa: E402
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
FPS, LENGTHS, TASK = 10, (8, 6), "Lift the bar"
HEIGHT, WIDTH = 48, 64


def make(folder: Path) -> None:
    """Two episodes of one camera, whose images become brighter."""
    names = [f"{name}.pos" for name in JOINTS]
    features = {
        key: {"dtype": "float32", "shape": (6,), "names": names} for key in ("observation.state", "action")
    }
    features["observation.images.top"] = {
        "dtype": "video",
        "shape": (HEIGHT, WIDTH, 3),
        "names": ["height", "width", "channels"],
    }
    dataset = LeRobotDataset.create("local/made", FPS, features, root=folder, robot_type="so100_follower")
    for episode, length in enumerate(LENGTHS):
        for k in range(length):
            position = np.full(6, episode + k / 10, np.float32)
            image = np.full((HEIGHT, WIDTH, 3), 40 + 10 * k, np.uint8)
            frame = {"observation.state": position, "action": position + 1, "observation.images.top": image}
            dataset.add_frame({**frame, "task": TASK})
        dataset.save_episode()
    dataset.finalize()


def delete(folder: Path, output: Path) -> None:
    dataset = LeRobotDataset("local/made", root=folder)
    delete_episodes(dataset, episode_indices=[0], output_dir=output, repo_id="local/rest")


if __name__ == "__main__":
    {"make": make, "delete": delete}[sys.argv[1]](*map(Path, sys.argv[2:]))
