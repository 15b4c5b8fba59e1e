# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Percentiles of the latencies, and a bound for the next one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smolvla_ros.execution.latency import LatencyWindow


def window_of(latencies_s: object, size: int = 100) -> LatencyWindow:
    window = LatencyWindow(size)
    for latency_s in np.asarray(latencies_s, np.float64):
        window.add(float(latency_s))
    return window


def test_percentiles_are_of_the_newest_latencies() -> None:
    window = window_of(range(1, 121), size=20)
    assert [window.percentile(percent) for percent in (0.0, 50.0, 95.0, 100.0)] == [101, 110, 119, 120]
    assert len(window) == 20


def test_without_latencies_nothing_is_known() -> None:
    assert math.isnan(LatencyWindow().percentile(50.0))
    assert math.isnan(LatencyWindow().upper_bound_s(0.01))


def test_what_the_next_one_exceeds_is_a_latency_seen_before_if_there_are_enough() -> None:
    window = window_of(range(1, 100))
    assert window.upper_bound_s(0.5) == 50
    assert window.upper_bound_s(0.1) == 90
    assert window.upper_bound_s(0.01) == 99


def test_a_rarer_latency_than_all_measured_is_larger() -> None:
    window = window_of(range(1, 100))
    assert 99 < window.upper_bound_s(0.005) < window.upper_bound_s(0.001) < 200
    assert window_of([0.3] * 7).upper_bound_s(0.001) == pytest.approx(0.3)
    assert window_of([0.3]).upper_bound_s(0.001) == 0.3


@pytest.mark.parametrize("probability", [0.3, 0.1, 0.02, 0.005])
def test_the_bound_is_exceeded_with_about_the_given_probability(probability: float) -> None:
    latencies_s = 0.2 + np.random.default_rng(1).exponential(0.1, 40_000)
    window, exceeded = LatencyWindow(), 0
    for latency_s in latencies_s:
        exceeded += len(window) >= 20 and latency_s > window.upper_bound_s(probability)
        window.add(float(latency_s))
    assert 0.5 * probability < exceeded / len(latencies_s) < 1.3 * probability
