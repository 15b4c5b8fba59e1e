# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets for training: folders, also those of a list of curate, and bags, converted in the run's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from smolvla_ros.curation.selection_file import SUFFIX, read_selection
from smolvla_ros.dataset.alignment import AlignmentSettings
from smolvla_ros.dataset.bag import find_bags
from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping
from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.dataset.lerobot_format import INFO
from smolvla_ros.dataset.parallel_conversion import convert
from smolvla_ros.robot import RobotSpec
from smolvla_ros.training.errors import TrainingError
from smolvla_ros.units import MotorCalibration

CONVERTED = "converted"


def as_datasets(
    paths: Sequence[Path],
    run: Path,
    robot: RobotSpec,
    calibration: Mapping[str, MotorCalibration] | None,
    mapping: BagMapping = OWN_TOPICS,
) -> list[Path]:
    """The dataset folders, in order, the one of all bags last, which are read by `mapping`.

    Raises TrainingError, DataError, CalibrationError, OSError.
    """
    paths = [each for path in paths for each in (read_selection(path) if path.suffix == SUFFIX else [path])]
    datasets = [path for path in paths if (path / INFO).is_file()]
    bags = [path for path in paths if path not in datasets]
    for path in bags:
        if not path.exists():
            raise TrainingError(f"'{path}' does not exist; give a dataset folder, a bag, or a folder of bags")
    if not bags:
        return datasets
    if robot.rate_hz != int(robot.rate_hz):
        raise TrainingError(
            f"robot '{robot.name}': rate_hz {robot.rate_hz} is not a whole number; convert the bags with bag_to_lerobot"
        )
    output = run / CONVERTED
    convert(
        Conversion(
            bags=tuple(find_bags(bags, None)),
            output=output,
            robot=robot,
            alignment=AlignmentSettings(int(robot.rate_hz), "header"),
            calibration=calibration,
            mapping=mapping,
        ),
        append=False,
        jobs=os.cpu_count() or 1,
    )
    return [*datasets, output]
