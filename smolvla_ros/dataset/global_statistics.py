# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The statistics over all episodes of a dataset (meta/stats.json).

They are exact: state, action and counters are read from all rows, and the histograms of the sampled images are kept in
a file of our own. A dataset that LeRobot has written or changed has no such file, or one that does not count all of its
images; what is appended to it is combined with its statistics as in LeRobot, with means of the episodes' quantiles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from smolvla_ros.dataset.lerobot_format import IMAGES
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.statistics import (
    ImageHistogram,
    StatisticsJson,
    combined_statistics,
    value_statistics,
)

HISTOGRAMS = "meta/image_histograms.json"


@dataclass(frozen=True)
class StatisticsBefore:
    """The statistics of a dataset before episodes are appended, as JSON; empty for a new dataset."""

    stats: Mapping[str, StatisticsJson] = field(default_factory=dict)
    histograms: Mapping[str, Any] = field(
        default_factory=dict
    )  # empty: LeRobot has written or changed the dataset

    @classmethod
    def load(cls, dataset: LeRobotDataset) -> StatisticsBefore:
        path = dataset.root / HISTOGRAMS
        histograms = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        images = [name for name in dataset.features if name.startswith(IMAGES)]
        is_complete = all(
            name in histograms and [histograms[name]["images"]] == dataset.stats.get(name, {}).get("count")
            for name in images
        )
        return cls(dict(dataset.stats), histograms if is_complete else {})


def exact_statistics(
    values: Mapping[str, Sequence[npt.NDArray[Any]]], histograms: Mapping[str, ImageHistogram]
) -> dict[str, StatisticsJson]:
    """By feature: of all its rows, given in parts (rows,) or (rows, width), and of histograms of images."""
    return {
        **{name: value_statistics(np.concatenate(parts)) for name, parts in values.items()},
        **{name: histogram.statistics() for name, histogram in histograms.items()},
    }


def lerobot_statistics(
    before: Mapping[str, StatisticsJson], added: Sequence[Mapping[str, Any]], features: Sequence[str]
) -> dict[str, StatisticsJson]:
    """By feature: those of the dataset before, combined with those of the rows of meta/episodes that are added."""
    return {
        name: combined_statistics(
            [*([before[name]] if name in before else []), *(row[f"stats/{name}"] for row in added)]
        )
        for name in features
    }
