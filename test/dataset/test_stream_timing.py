# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rates, period errors and missing images, from stamps."""

from __future__ import annotations

import numpy as np
import pytest

from smolvla_ros.dataset.stream_timing import (
    ImageCount,
    count_images,
    intervals_s,
    mean_rate_hz,
    period_errors_s,
    recent_rate_hz,
)

SECOND = 1_000_000_000
STAMPS_30_HZ = [k * SECOND // 30 for k in range(91)]  # 3 s


def test_a_rate_is_the_number_of_periods_over_their_time() -> None:
    assert mean_rate_hz(intervals_s(STAMPS_30_HZ)) == pytest.approx(30.0)
    assert [mean_rate_hz(intervals_s(stamps)) for stamps in ([], [5], [5, 5])] == [0.0, 0.0, 0.0]


def test_a_stream_that_stopped_has_no_recent_rate() -> None:
    assert recent_rate_hz(STAMPS_30_HZ, STAMPS_30_HZ[-1]) == pytest.approx(30.0)
    assert recent_rate_hz(STAMPS_30_HZ, STAMPS_30_HZ[-1] + 3 * SECOND) == 0.0
    assert recent_rate_hz([], SECOND) == 0.0


def test_a_recent_rate_ignores_stamps_older_than_two_seconds() -> None:
    slow = [-10 * SECOND + k * SECOND for k in range(8)]
    assert recent_rate_hz([*slow, *STAMPS_30_HZ], 3 * SECOND) == pytest.approx(30.0)


def test_period_errors_are_differences_from_the_median_period() -> None:
    stamps = [0, 10, 20, 35, 40, 50]
    assert (period_errors_s(intervals_s(stamps)) * SECOND).round(6).tolist() == [0, 0, 5, 5, 0]
    assert period_errors_s(intervals_s([3])).size == 0


@pytest.mark.parametrize(
    ("lost", "end_s", "expected"),
    [
        (set(), 3.0, ImageCount(91, 91)),
        ({7, 8, 50}, 3.0, ImageCount(91, 88)),
        (set(range(61, 91)), 3.0, ImageCount(91, 61)),  # silent from 2 s on
        (set(range(88, 91)), 3.0, ImageCount(88, 88)),  # too short a silence at the end to count as lost
        (set(range(91)), 3.0, ImageCount(0, 0)),
    ],
)
def test_images_that_are_missing_are_counted_from_stamps(
    lost: set[int], end_s: float, expected: ImageCount
) -> None:
    stamps = [stamp for k, stamp in enumerate(STAMPS_30_HZ) if k not in lost]
    assert count_images(stamps, 30.0, round(end_s * SECOND)) == expected


def test_jitter_duplicates_and_order_are_no_lost_images() -> None:
    rng = np.random.default_rng(1)
    stamps = [stamp + int(rng.uniform(0, 20e6)) for stamp in STAMPS_30_HZ]
    count = count_images([*reversed(stamps), stamps[3]], 30.0, 3 * SECOND)
    assert (count.received, count.dropped) == (91, 0)
