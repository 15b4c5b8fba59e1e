# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What check-lerobot runs in LeRobot's own environment, 0.4.4 or 0.6.1: write a dataset, delete an episode of one.

python lerobot_roundtrip.py make FOLDER
python lerobot_roundtrip.py delete FOLDER NEW_FOLDER     # its first episode
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torchvision_stand_in  # noqa: F401  # before LeRobot

# isort: split
from lerobot.datasets.dataset_tools import delete_episodes
from lerobot.datasets.lerobot_dataset import LeRobotDataset

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
    folders = [Path(each) for each in sys.argv[2:]]
    make(*folders) if sys.argv[1] == "make" else delete(*folders)
