# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LeRobot's own program `lerobot-train`, in its own environment, with what lerobot_policy.py replaces.

python lerobot_train.py OPTIONS_OF_LEROBOT_TRAIN
"""

import lerobot_policy  # noqa: F401  # before LeRobot's program

# isort: split
from lerobot.scripts.lerobot_train import main

if __name__ == "__main__":
    main()
