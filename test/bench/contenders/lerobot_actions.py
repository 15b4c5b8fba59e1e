# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Save the normalised actions that a checkpoint gives in LeRobot, in its own environment, in float32.

python lerobot_actions.py CHECKPOINT BACKBONE ACTIONS.npy
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from lerobot_policy import LeRobot
from worker import sample_question


def main() -> None:
    checkpoint, backbone, output = map(Path, sys.argv[1:])
    options = argparse.Namespace(checkpoint=checkpoint, backbone=backbone, device="cpu", dtype="float32")
    lerobot = LeRobot(options)
    config = lerobot.policy.config
    cameras = [key.removeprefix("observation.images.") for key in config.image_features]
    np.save(output, lerobot.predict(sample_question(cameras, config.chunk_size)))


if __name__ == "__main__":
    main()
