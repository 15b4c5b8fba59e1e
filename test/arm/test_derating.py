# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Less torque for hot servos, and a stop that ends only when they have cooled."""

from __future__ import annotations

import numpy as np
import pytest

from smolvla_ros.arm.derating import Derating


@pytest.mark.parametrize(
    ("temperature_c", "share"), [(20, 1.0), (55, 1.0), (56, 0.9), (60, 0.7), (65, 0.5), (90, 0.5)]
)
def test_torque_falls_with_the_heat(temperature_c: float, share: float) -> None:
    assert Derating(1, 55.0, 65.0).shares(np.array([temperature_c])) == pytest.approx(share)


def test_joint_that_was_too_hot_is_stopped_until_it_has_cooled() -> None:
    derating = Derating(2, 55.0, 65.0)
    stopped = []
    for temperature_c in (64.9, 65.0, 60.0, 55.0, 54.9, 60.0):
        derating.shares(np.array([20.0, temperature_c]))
        stopped.append(derating.stopped.tolist())
    assert [joint for _, joint in stopped] == [False, True, True, True, False, False]
    assert not any(joint for joint, _ in stopped)


def test_servo_that_does_not_answer_is_as_hot_as_it_was() -> None:
    derating = Derating(1, 55.0, 65.0)
    derating.shares(np.array([66.0]))
    assert derating.shares(np.array([np.nan])) == pytest.approx(0.5)
    assert derating.stopped.all()


def test_noise_of_a_degree_is_one_step_at_most() -> None:
    shares = Derating(1, 55.0, 65.0).shares
    assert abs(shares(np.array([58.0])) - shares(np.array([59.0]))) <= 0.1 + 1e-9


def test_stop_below_derating_is_refused() -> None:
    with pytest.raises(ValueError, match="before they are stopped"):
        Derating(1, 65.0, 55.0)
