# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics, robots and checks for the tests of preflight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from smolvla_ros.finding import Finding
from smolvla_ros.policy.preflight.preflight import (
    Expectations,
    FeatureStatistics,
    Report,
    RobotSetup,
    preflight,
)
from smolvla_ros.robot import RobotSpec

from ..package_files import CALIBRATION, ROBOT

MIDDLE = np.array([joint.middle_rad for joint in ROBOT.joints])

# A pick-and-place data set in LeRobot's degrees, joint by joint.
DEGREES = {
    "mean": [-5, -40, 30, 50, 0, 15],
    "std": [28, 45, 40, 25, 60, 18],
    "min": [-70, -101, -60, -20, -150, 0],
    "max": [65, 40, 95, 95, 140, 62],
}
IN_RANGE = {
    "mean": [-5, -40, 30, 50, 0, 15],
    "std": [28, 45, 40, 25, 30, 18],
    "min": [-70, -100, -60, -20, -80, 0],
    "max": [65, 40, 100, 95, 75, 62],
}
NARROW = {"mean": [0, -60, 40, 50, 0, 15], "std": [8, 5, 6, 5, 60, 18]}
QUIET = {"mean": [0, 0, 0, 0, 0, 50], "std": [30, 20, 20, 20, 30, 25]}  # fits degrees and -100..100
RADIANS = {name: [*(v / 57.3 for v in values[:5]), values[5]] for name, values in DEGREES.items()}
# smolvla_base: std as in its files, means between -27 and 120 as reported
OLD = {"mean": [-3, 112, 95, 55, -27, 14], "std": [26.4, 52.4, 49.9, 37.0, 59.4, 19.0]}


def statistics(values: Mapping[str, Sequence[float]], mode: str = "MEAN_STD") -> FeatureStatistics:
    return FeatureStatistics(
        {name: np.array(v, np.float32) for name, v in values.items()}, "stats.json", mode
    )


def expectations(data: Mapping[str, Sequence[float]] = DEGREES, **changes: Any) -> Expectations:
    values: dict[str, Any] = {
        "name": "pick@020000",
        "image_keys": ("camera1", "camera2"),
        "image_size": 512,
        "state_dim": 6,
        "action_dim": 6,
        "chunk_size": 50,
        "state": statistics(data),
        "action": statistics(data),
        "tokenizer": "vlm",
    }
    return Expectations(**{**values, **changes})


def check(expected: Expectations, **changes: Any) -> Report:
    return preflight(expected, RobotSetup(**{"robot": ROBOT, "calibration": CALIBRATION, **changes}))


def only(report: Report) -> Finding:
    [finding] = report.findings
    return finding


def in_units(unit: Any) -> RobotSpec:
    return replace(
        ROBOT, joints=tuple(j if j.name == "gripper" else replace(j, unit=unit) for j in ROBOT.joints)
    )


def pose(**degrees_from_middle: float) -> Any:
    directions = {joint.name: joint.direction for joint in ROBOT.joints}
    turned = [directions[j.name] * math.radians(degrees_from_middle.get(j.name, 0.0)) for j in ROBOT.joints]
    return MIDDLE + turned
