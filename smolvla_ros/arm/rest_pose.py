# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Move to the rest pose, in which the arm does not fall when torque goes off."""

from __future__ import annotations

import time

import numpy as np

from smolvla_ros.arm.servo_group import ArmError
from smolvla_ros.arm.so100 import So100Arm
from smolvla_ros.arrays import BoolArray, FloatArray, IntArray
from smolvla_ros.units import RAD_PER_TICK

ARRIVAL_S = 2.0  # a joint may arrive so late
ARRIVED_RAD = 0.1  # from its goal, a joint has arrived


def go_to_rest(
    arm: So100Arm, rest_rad: FloatArray, speed_rad_s: float, period_s: float, is_gripper: BoolArray
) -> None:
    """Move all joints to `rest_rad` (joints,), the one with the longest way at `speed_rad_s`; blocks until they arrive.

    Joints where `is_gripper` (joints,) is true need not arrive. Raises ArmError if another does not; the arm then holds
    where it stands, so that it does not go on pushing against what is in its way.
    """
    try:
        _move(arm, rest_rad, speed_rad_s, period_s, is_gripper)
    except ArmError:
        arm.hold(arm.read())
        raise


def _move(
    arm: So100Arm, rest_rad: FloatArray, speed_rad_s: float, period_s: float, is_gripper: BoolArray
) -> None:
    start_rad = arm.read().positions_rad
    if np.isnan(start_rad).any():
        raise ArmError("no way to the rest pose, not all servos answer; the arm holds")
    way_rad = rest_rad - start_rad
    duration_s = float(np.abs(way_rad).max()) / speed_rad_s
    goal_ticks: IntArray = np.full(len(way_rad), -1)
    start_s = time.monotonic()
    while (since_s := time.monotonic() - start_s) < duration_s + ARRIVAL_S:
        arm.write(start_rad + way_rad * min(1.0, since_s / duration_s if duration_s else 1.0))
        reading = arm.read()
        if complaints := arm.restore(reading):
            raise ArmError(f"stopped on the way to the rest pose: {'; '.join(complaints.values())}")
        behind_rad = np.abs(reading.goal_ticks - reading.position_ticks) * RAD_PER_TICK
        # Only an unchanged goal is the final one: max_step_rad keeps intermediate goals near the arm.
        arrived = (behind_rad < ARRIVED_RAD) & (reading.goal_ticks == goal_ticks)
        goal_ticks = reading.goal_ticks
        if since_s >= duration_s and reading.valid.all() and (arrived | is_gripper).all():
            return
        time.sleep(period_s - (time.monotonic() - start_s) % period_s)
    raise ArmError("the arm did not get to its rest pose and holds; is something in its way?")
