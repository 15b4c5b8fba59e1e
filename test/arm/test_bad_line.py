# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The driver on a line that loses and damages packets: no wrong value, no lost command, correct counters.

The servos get new positions before each reading, so that an answer of an earlier reading is detected.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.arm.so100 import So100Arm
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.line_faults import LineFaults
from smolvla_ros.units import JointUnits, MotorCalibration

LATE_S = 0.5
TIMEOUT_S = 0.3  # long for a busy computer, shorter than LATE_S


@pytest.fixture
def arm(emulated: EmulatedArm, calibration: dict[str, MotorCalibration]) -> Iterator[So100Arm]:
    units = [JointUnits(name, "degrees", 1, 0.0, motor) for name, motor in calibration.items()]
    bus = FeetechBus(emulated.port, timeout_s=TIMEOUT_S, gap_s=TIMEOUT_S, budget_s=5.0)
    arm = So100Arm(bus, units)
    arm.connect()
    arm.enable_torque()
    yield arm
    arm.close()


@pytest.mark.parametrize("share", [0.01, 0.1])
@pytest.mark.parametrize("fault", ["lost", "corrupt", "truncated", "late", "echoed"])
def test_no_reading_is_wrong_no_command_is_lost_and_all_failures_are_counted(
    emulated: EmulatedArm,
    calibration: dict[str, MotorCalibration],
    arm: So100Arm,
    fault: str,
    share: float,
) -> None:
    emulated.faults = faults = LineFaults(**{fault: share}, late_s=LATE_S, seed=1)
    counted = sum(c.retries + c.communication_errors for c in arm.bus.counters.values())
    rng = random.Random(2)
    servos = list(emulated.servos.values())
    seen = 0
    for _ in range(40 if share < 0.05 else 12):
        expected = [rng.randrange(motor.range_min, motor.range_max) for motor in calibration.values()]
        goals = [unit.ticks_to_rad(float(tick)) for unit, tick in zip(arm.units, expected, strict=True)]
        arm.write(np.array(goals))
        for _ in range(12):
            truth = np.array([rng.randrange(1300, 2700) for _ in servos])
            for servo, tick in zip(servos, truth, strict=True):
                servo.position_ticks = float(tick)
            reading = arm.read()
            np.testing.assert_array_equal(reading.position_ticks[reading.valid], truth[reading.valid])
            seen += int(reading.valid.sum())
            arm.restore(reading)
            if reading.valid.all() and reading.goal_ticks.tolist() == expected:
                break
        assert [servo.value("Goal_Position") for servo in servos] == expected
    assert seen > 70
    total = sum(c.retries + c.communication_errors for c in arm.bus.counters.values()) - counted
    assert total == sum(faults.unanswered.values())
    assert faults.counts or share < 0.05
