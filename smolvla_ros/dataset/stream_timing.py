# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rates, gaps and missing images of a stream of messages, computed from the stamps of its messages."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from smolvla_ros.arrays import FloatArray, IntArray
from smolvla_ros.observation import NANOSECONDS

RECENT_NS = 2 * NANOSECONDS
GAP_PERIODS = 1.75  # an interval longer than this is a gap: at least one message is missing in it
SILENCE_NS = NANOSECONDS // 2  # after such a silence at the end, the images due in that time count as missing


@dataclass(frozen=True)
class ImageCount:
    """Images of one camera; `dropped` were not captured or lost on the way, which stamps do not distinguish."""

    expected: int
    received: int
    dropped: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropped", max(0, self.expected - self.received))


def intervals_s(stamps_ns: Sequence[int] | IntArray) -> FloatArray:
    """Seconds between consecutive stamps, shape (stamps - 1,)."""
    return np.diff(np.asarray(stamps_ns, np.int64)) / NANOSECONDS


def mean_rate_hz(intervals_s: FloatArray) -> float:
    """Messages per second; 0 without intervals, or when they sum up to nothing."""
    span_s = float(intervals_s.sum())
    return len(intervals_s) / span_s if span_s > 0 else 0.0


def gap_lengths_s(intervals_s: FloatArray, period_s: float) -> FloatArray:
    """The intervals that are gaps in a stream of this period; none when the period is 0 (unknown)."""
    return intervals_s[intervals_s > GAP_PERIODS * period_s] if period_s > 0 else intervals_s[:0]


def recent_rate_hz(stamps_ns: Sequence[int], now_ns: int) -> float:
    """Rate of the ascending stamps of the last two seconds, up to the newest of them; 0 for fewer than two."""
    return mean_rate_hz(intervals_s(stamps_ns[bisect_left(stamps_ns, now_ns - RECENT_NS) :]))


def period_errors_s(intervals_s: FloatArray) -> FloatArray:
    """Absolute difference of each interval from the median one."""
    return np.abs(intervals_s - np.median(intervals_s)) if len(intervals_s) else intervals_s


def count_images(stamps_ns: Sequence[int], nominal_hz: float, end_ns: int) -> ImageCount:
    """Images received, and how many `nominal_hz` makes expect between the first and the last of them.

    A camera silent for longer than SILENCE_NS before `end_ns` is expected to send images until `end_ns`.
    """
    stamps = sorted(set(stamps_ns))
    if not stamps:
        return ImageCount(0, 0)
    last_ns = end_ns if end_ns - stamps[-1] > SILENCE_NS else stamps[-1]
    return ImageCount(1 + round((last_ns - stamps[0]) * nominal_hz / NANOSECONDS), len(stamps))
