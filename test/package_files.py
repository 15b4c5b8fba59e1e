# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of the repository that many tests read, and what some of them contain."""

from pathlib import Path

from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import load_calibration

ROOT = Path(__file__).parents[1]
ROBOT_FILE = str(ROOT / "config" / "so100.yaml")
CALIBRATION_FILE = str(ROOT / "config" / "emulated_calibration.json")
CHECKPOINT = ROOT / "checkpoints" / "so100_tabletop"
GOLDEN = ROOT / "test" / "data" / "golden"
ROBOT = RobotSpec.load(ROBOT_FILE)
CALIBRATION = load_calibration(CALIBRATION_FILE)
