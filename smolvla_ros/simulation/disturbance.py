# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Disturbances of a demonstrator's commands: noise that lasts, short pushes, and pauses.

The disturbed command is executed and the undisturbed one recorded, so that a dataset shows how to return to the task
(DART, Laskey et al. 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.settings import Settings, setting

CORRELATION_S = 0.3  # within this time the noise decays to 1/e
BURST_S = (0.1, 0.3)
PAUSE_S = (0.2, 0.7)
GRIPPER_SHARE = 0.3  # of the noise and pushes of an arm joint: more opens the gripper


@dataclass(frozen=True)
class DisturbanceSettings(Settings):
    """How much commands are disturbed."""

    noise_rad: float = setting(
        0.03, "standard deviation of the noise; each episode has a random share of it", bounds=(0.0, 0.1)
    )
    burst_rad: float = setting(0.12, "standard deviation of pushes", bounds=(0.0, 0.5))
    bursts_per_s: float = setting(0.2, "pushes in a second", bounds=(0.0, 2.0))
    pauses_per_s: float = setting(0.03, "pauses in a second", bounds=(0.0, 2.0))


class Disturbance:
    """The disturbances of one episode, by seed; called once a period."""

    def __init__(
        self, settings: DisturbanceSettings, joints: int, period_s: float, random: np.random.Generator
    ) -> None:
        self._settings = settings
        self._period_s = period_s
        self._random = random
        self._shares = np.array([*[1.0] * (joints - 1), GRIPPER_SHARE])
        self._deviation_rad = settings.noise_rad * random.uniform(0.0, 1.0)
        self._noise: FloatArray = np.zeros(joints)
        self._push: FloatArray = np.zeros(joints)
        self._push_until_s = self._pause_until_s = 0.0
        self._time_s = 0.0

    def step(self) -> tuple[FloatArray, bool]:
        """What is added to the next command (joints,) rad, and whether the demonstrator pauses."""
        keep = math.exp(-self._period_s / CORRELATION_S)
        fresh = self._random.normal(0.0, self._deviation_rad, len(self._noise))
        self._noise = keep * self._noise + math.sqrt(1.0 - keep**2) * fresh
        if self._random.random() < self._settings.bursts_per_s * self._period_s:
            self._push = self._random.normal(0.0, self._settings.burst_rad, len(self._noise))
            self._push_until_s = self._time_s + self._random.uniform(*BURST_S)
        if self._random.random() < self._settings.pauses_per_s * self._period_s:
            self._pause_until_s = self._time_s + self._random.uniform(*PAUSE_S)
        push = self._push if self._time_s < self._push_until_s else np.zeros_like(self._push)
        is_paused = self._time_s < self._pause_until_s
        self._time_s += self._period_s
        return self._shares * (self._noise + push), is_paused
