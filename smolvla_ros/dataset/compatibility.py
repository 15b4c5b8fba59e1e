# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether episodes can be in one dataset: equal features, frame rate and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset


def check_compatible(
    dataset: LeRobotDataset,
    features: Mapping[str, Any],
    fps: int,
    units: Mapping[str, str],
    others: str = "these episodes",
) -> None:
    """Raise DatasetError if episodes with these features and units cannot be in one dataset with those of `dataset`.

    `others`: what the message calls them.
    """
    if dataset.units and dataset.units != units:
        raise DatasetError(
            f"dataset '{dataset.root}' is in {_text(dataset.units)}, {others} in {_text(units)}; use the robot "
            "file and the --units with which it was made"
        )
    if dataset.fps != fps:
        raise DatasetError(
            f"dataset '{dataset.root}' has {dataset.fps} fps, {others} {fps}; convert them with --fps "
            f"{dataset.fps}"
        )
    for name in sorted({*features, *dataset.features}):
        old, new = (
            {key: feature.get(key) for key in ("dtype", "shape", "names")} if feature else None
            for feature in (dataset.features.get(name), features.get(name))
        )
        if old != new:
            raise DatasetError(
                f"dataset '{dataset.root}': feature {name} is {old}, in {others} {new}; "
                "they cannot be in one dataset"
            )


def _text(units: Mapping[str, str]) -> str:
    return ", ".join(f"{joint}: {unit}" for joint, unit in units.items())
