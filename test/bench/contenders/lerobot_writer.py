# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the frames of test/bench/convert.py with LeRobot 0.4.4's own LeRobotDataset; prints the seconds it took.

It does what a converter based on LeRobot has to do: decode each JPEG, add_frame, save_episode, with four threads for
images and h264 (AV1, the default, takes longer).
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import numpy as np
import torchvision_stand_in  # noqa: F401  # before LeRobot
from PIL import Image

# isort: split
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def main() -> None:
    pictures, output, frames, fps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    cameras = {
        f"observation.images.{path.name}": [file.read_bytes() for file in sorted(path.iterdir())]
        for path in pictures.iterdir()
    }
    width, height = Image.open(io.BytesIO(next(iter(cameras.values()))[0])).size
    values = {"dtype": "float32", "shape": (6,), "names": [str(joint) for joint in range(6)]}
    image = {"dtype": "video", "shape": (height, width, 3), "names": ["height", "width", "channels"]}
    began = time.monotonic()
    dataset = LeRobotDataset.create(
        "local/written",
        fps,
        {"observation.state": values, "action": values, **dict.fromkeys(cameras, image)},
        root=output,
        image_writer_threads=4,
        vcodec="h264",
    )
    for k in range(frames):
        row = {
            "observation.state": np.zeros(6, np.float32),
            "action": np.zeros(6, np.float32),
            "task": "Pick",
        }
        for key, jpegs in cameras.items():
            row[key] = np.asarray(Image.open(io.BytesIO(jpegs[k % len(jpegs)])))
        dataset.add_frame(row)
    dataset.save_episode()
    dataset.finalize()
    print(time.monotonic() - began)


if __name__ == "__main__":
    main()
