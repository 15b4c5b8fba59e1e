# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a whole dataset says about itself, against the robot: its units, and images that nobody checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from smolvla_ros.dataset.lerobot_format import ACTION, INFO, STATE
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.finding import Finding
from smolvla_ros.policy.preflight.unit_evidence import CONFIRMABLE, check_units
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import MotorCalibration

UNIT_REMEDY = (
    f"Give the robot file and the unit that belong to the data: --robot, --units {' or '.join(CONFIRMABLE)}"
)


def check_dataset(
    path: Path, robot: RobotSpec, calibration: Mapping[str, MotorCalibration] | None, is_unit_confirmed: bool
) -> list[Finding]:
    """Findings of a dataset as a whole: units that do not fit its statistics, depth images, which are not checked."""
    dataset = LeRobotDataset.load(path)
    if dataset.units:
        other = dataset.other_units(robot)
        unit_finding = Finding("error", "units", f"its {INFO} states {other}") if other else None
    else:
        statistics = {
            feature: dataset.statistics(feature) for feature in (STATE, ACTION) if feature in dataset.stats
        }
        unit_finding = check_units(robot, calibration, statistics, is_unit_confirmed)
    findings = [replace(unit_finding, where="the whole dataset", remedy=UNIT_REMEDY)] if unit_finding else []
    remedy = "Only RGB images are checked; look at these yourself"
    return findings + [
        Finding("warning", "depth images", "they are left out", remedy, where=key)
        for key in dataset.depth_keys
    ]
