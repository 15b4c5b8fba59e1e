# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An emulated arm on a clock that only a test advances, and the driver connected to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.arm.so100 import So100Arm
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.units import JointUnits, MotorCalibration

from ..package_files import CALIBRATION


class Clock:
    """A clock that only the test advances."""

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
    return dict(CALIBRATION)


@pytest.fixture
def emulated(calibration: dict[str, MotorCalibration], clock: Clock) -> Iterator[EmulatedArm]:
    with EmulatedArm(calibration, clock_ns=clock) as arm:
        yield arm


MIDDLE_RAD = {"shoulder_lift": 1.8, "gripper": 0.9}


@pytest.fixture
def units(calibration: dict[str, MotorCalibration]) -> tuple[JointUnits, ...]:
    return tuple(
        JointUnits(name, "degrees", -1 if name == "elbow_flex" else 1, MIDDLE_RAD.get(name, 0.0), motor)
        for name, motor in calibration.items()
    )


@pytest.fixture
def arm(emulated: EmulatedArm, units: tuple[JointUnits, ...]) -> Iterator[So100Arm]:
    arm = So100Arm(FeetechBus(emulated.port, timeout_s=0.2), units)
    yield arm
    arm.close()


@pytest.fixture
def armed(arm: So100Arm) -> So100Arm:
    arm.connect()
    arm.enable_torque()
    return arm


@pytest.fixture
def requests(emulated: EmulatedArm, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that the servos receive."""
    heard: list[Any] = []
    execute = emulated._execute

    def listen(request: Any) -> list[bytes]:
        heard.append(request)
        return execute(request)

    monkeypatch.setattr(emulated, "_execute", listen)
    return heard
