# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An emulated arm whose time stands still unless a test lets it pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.units import MotorCalibration, load_calibration


class Clock:
    """Time under control of the test."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, duration_s: float) -> None:
        self.now_ns += round(duration_s * 1e9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calibration() -> dict[str, MotorCalibration]:
    return load_calibration(Path(__file__).parents[2] / "config/emulated_calibration.json")


@pytest.fixture
def emulated(calibration: dict[str, MotorCalibration], clock: Clock) -> Iterator[EmulatedArm]:
    with EmulatedArm(calibration, clock_ns=clock) as arm:
        yield arm
