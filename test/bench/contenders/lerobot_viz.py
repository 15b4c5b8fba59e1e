# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LeRobot's own program `lerobot-dataset-viz`, in its own environment, with what torchvision_stand_in.py replaces.

python lerobot_viz.py OPTIONS_OF_LEROBOT_DATASET_VIZ
"""

import torchvision_stand_in  # noqa: F401  # before LeRobot's program

# isort: split
from lerobot.scripts.lerobot_dataset_viz import main

if __name__ == "__main__":
    main()
