# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of one feature (state, action, image), and which of them a mode of normalization needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smolvla_ros.arrays import Float32Array

# Mode of normalization -> the two statistics it needs. The last three modes map them to -1 and 1.
MODE_STATISTICS: Mapping[str, tuple[str, ...]] = {
    "IDENTITY": (),
    "MEAN_STD": ("mean", "std"),
    "MIN_MAX": ("min", "max"),
    "QUANTILES": ("q01", "q99"),
    "QUANTILE10": ("q10", "q90"),
}

Values = Mapping[str, Float32Array]  # name ("mean", "std", "q01" ...) -> values in the feature's shape


@dataclass(frozen=True)
class FeatureStatistics:
    """The statistics that are known of a feature, and the mode of normalization they are used in."""

    values: Values
    source: str  # file and dataset, for messages
    mode: str = "IDENTITY"  # a key of MODE_STATISTICS
