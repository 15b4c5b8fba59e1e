# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Noise that lasts, pushes and pauses, by seed."""

from __future__ import annotations

import numpy as np

from smolvla_ros.simulation.disturbance import CORRELATION_S, Disturbance, DisturbanceSettings

PERIOD_S = 1 / 30


def steps(settings: DisturbanceSettings, seed: int = 0, count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    disturbance = Disturbance(settings, 6, PERIOD_S, np.random.default_rng(seed))
    noise, pauses = zip(*(disturbance.step() for _ in range(count)))
    return np.array(noise), np.array(pauses)


def test_noise_has_at_most_the_deviation_asked_for_and_lasts() -> None:
    settings = DisturbanceSettings(noise_rad=0.03, bursts_per_s=0.0, pauses_per_s=0.0)
    deviations = [steps(settings, seed)[0][:, :5].std() for seed in range(8)]
    assert 0.0 < min(deviations) < 0.015 < max(deviations) < 0.033
    noise, pauses = steps(settings)
    lag = round(CORRELATION_S / PERIOD_S)
    assert 0.2 < np.corrcoef(noise[:-lag, 0], noise[lag:, 0])[0, 1] < 0.55  # 1/e
    assert noise[:, -1].std() < 0.5 * noise[:, 0].std()  # the gripper
    assert not pauses.any()


def test_pushes_and_pauses_come_as_often_as_asked_for_and_end() -> None:
    noise, pauses = steps(
        DisturbanceSettings(noise_rad=0.0, burst_rad=0.1, bursts_per_s=0.5, pauses_per_s=0.3)
    )
    pushed = noise.any(axis=1)
    assert 25 < (np.diff(pushed.astype(int)) == 1).sum() < 75  # in 100 s
    assert 0.05 < noise[pushed, :5].std() < 0.15
    assert 12 < (np.diff(pauses.astype(int)) == 1).sum() < 50


def test_without_disturbances_nothing_is_added() -> None:
    none = DisturbanceSettings(noise_rad=0.0, bursts_per_s=0.0, pauses_per_s=0.0)
    noise, pauses = steps(none, count=100)
    assert not noise.any() and not pauses.any()
