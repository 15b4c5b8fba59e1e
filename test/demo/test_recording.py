# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures that stamps give."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smolvla_ros.demo.recording import (
    ImageCount,
    Recording,
    count_images,
    percentile,
    period_errors_s,
    rate_hz,
    recent_rate_hz,
)
from smolvla_ros.robot import RobotSpec

from .conftest import joint_state

SECOND = 1_000_000_000
STAMPS_30_HZ = [k * SECOND // 30 for k in range(91)]  # 3 s


def test_a_rate_is_the_number_of_periods_over_their_time() -> None:
    assert rate_hz(STAMPS_30_HZ) == pytest.approx(30.0)
    assert math.isnan(rate_hz([])) and math.isnan(rate_hz([5])) and math.isnan(rate_hz([5, 5]))


def test_a_stream_that_stopped_has_no_recent_rate() -> None:
    assert recent_rate_hz(STAMPS_30_HZ, STAMPS_30_HZ[-1]) == pytest.approx(30.0)
    assert recent_rate_hz(STAMPS_30_HZ, STAMPS_30_HZ[-1] + 3 * SECOND) == 0.0
    assert recent_rate_hz([], SECOND) == 0.0


def test_a_recent_rate_forgets_what_is_two_seconds_old() -> None:
    slow = [-10 * SECOND + k * SECOND for k in range(8)]
    assert recent_rate_hz([*slow, *STAMPS_30_HZ], 3 * SECOND) == pytest.approx(30.0)


def test_period_errors_are_distances_from_the_usual_period() -> None:
    stamps = [0, 10, 20, 35, 40, 50]
    assert (period_errors_s(stamps) * SECOND).round(6).tolist() == [0, 0, 5, 5, 0]
    assert period_errors_s([3]).size == 0


@pytest.mark.parametrize(
    ("lost", "end_s", "expected"),
    [
        (set(), 3.0, ImageCount(91, 91)),
        ({7, 8, 50}, 3.0, ImageCount(91, 88)),
        (set(range(61, 91)), 3.0, ImageCount(91, 61)),  # silent from 2 s on
        (set(range(88, 91)), 3.0, ImageCount(88, 88)),  # what is on its way at the end is not lost
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


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert math.isnan(percentile([], 50))


def test_a_recording_keeps_joints_in_the_order_of_the_robot(recording: Recording) -> None:
    assert recording.measured.positions_rad.shape == (101, 6)
    assert recording.commanded.positions_rad[-1] == pytest.approx(np.full(6, 0.2))
    assert [chunk.steps for chunk in recording.chunks] == [50] * 4
    assert recording.images("wrist", 3 * SECOND).dropped == 3


def test_joint_states_without_a_silent_servo_are_left_out(recording: Recording, robot: RobotSpec) -> None:
    partial = joint_state(robot, 5 * SECOND, [0.0] * 6)
    partial.name, partial.position = partial.name[:-1], partial.position[:-1]
    recording.add_joint_state(partial)
    assert recording.measured.positions_rad.shape == (101, 6)
