# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rates and gaps of a stream of messages, computed from the stamps of its messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from smolvla_ros.observation import NANOSECONDS

FloatArray = npt.NDArray[np.float64]
GAP_PERIODS = (
    1.75  # an interval longer than this many periods is a gap: at least one message is missing in it
)


def intervals_s(stamps_ns: Sequence[int] | npt.NDArray[np.int64]) -> FloatArray:
    """Seconds between consecutive stamps, shape (stamps - 1,)."""
    return np.diff(np.asarray(stamps_ns, np.int64)) / NANOSECONDS


def mean_rate_hz(intervals_s: FloatArray) -> float:
    """Messages per second; 0 without intervals, or when they sum up to nothing."""
    span_s = float(intervals_s.sum())
    return len(intervals_s) / span_s if span_s > 0 else 0.0


def gap_lengths_s(intervals_s: FloatArray, period_s: float) -> FloatArray:
    """The intervals that are gaps in a stream of this period; none when the period is 0 (unknown)."""
    return intervals_s[intervals_s > GAP_PERIODS * period_s] if period_s > 0 else intervals_s[:0]
