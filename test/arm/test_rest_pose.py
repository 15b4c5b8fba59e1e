# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The way to the rest pose, when something is in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smolvla_ros.arm import rest_pose
from smolvla_ros.arm.servo_group import ArmError
from smolvla_ros.arm.so100 import So100Arm


def test_an_arm_that_cannot_get_to_its_rest_pose_stops_pushing_and_holds_where_it_stands(
    armed: So100Arm, monkeypatch: Any
) -> None:
    monkeypatch.setattr(rest_pose, "ARRIVAL_S", 0.2)
    is_gripper = np.array([name == "gripper" for name in armed.joint_names])
    rest_rad = armed.read().positions_rad + 0.3
    with pytest.raises(ArmError, match="holds; is something in its way"):  # the servos' clock stands still
        rest_pose.go_to_rest(armed, rest_rad, 3.0, 0.02, is_gripper)
    reading = armed.read()
    np.testing.assert_array_equal(reading.goal_ticks[~is_gripper], reading.position_ticks[~is_gripper])
    assert reading.torque.all()
