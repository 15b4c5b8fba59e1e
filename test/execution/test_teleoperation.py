# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The follower's pose is the leader's by both calibrations, with soft start and holding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.execution.teleoperation import Teleoperation, TeleoperationConfig
from smolvla_ros.robot import Joints
from smolvla_ros.units import load_calibration

from ..package_files import ROBOT

CONFIG = Path(__file__).parents[2] / "config"
FOLLOWER = load_calibration(CONFIG / "emulated_calibration.json")
LEADER = {
    **{name: replace(motor, range_min=motor.range_min + 100) for name, motor in FOLLOWER.items()},
    "gripper": replace(FOLLOWER["gripper"], range_min=1500, range_max=2300),
}
MIDDLE = np.array([joint.middle_rad for joint in ROBOT.joints])
PERIOD_NS = 20_000_000


def teleoperation(**settings: float) -> Teleoperation:
    return Teleoperation(TeleoperationConfig(**settings), ROBOT, ROBOT.units(LEADER), ROBOT.units(FOLLOWER))


def at(pose: np.ndarray, now_ns: int = 0) -> Joints:
    return Joints(now_ns, pose, np.zeros(6))


def test_arm_joints_keep_their_angle_and_the_gripper_its_share_of_the_range() -> None:
    leader, follower = ROBOT.units(LEADER), ROBOT.units(FOLLOWER)
    pose = MIDDLE + [0.3, -0.4, 0.2, 0.1, -0.5, 0.0]
    for share in (0.0, 0.25, 1.0):
        motor = LEADER["gripper"]
        tick = motor.range_min + share * (motor.range_max - motor.range_min)
        pose[5] = leader[5].ticks_to_rad(float(tick))
        target = teleoperation().target(pose)
        assert target[:5] == pytest.approx(pose[:5])
        assert follower[5].rad_to_lerobot(float(target[5])) == pytest.approx(100 * share)


def test_the_target_is_what_lerobot_would_send() -> None:
    robot = replace(
        ROBOT,
        joints=tuple(replace(j, unit="range_m100_100") if j.unit == "degrees" else j for j in ROBOT.joints),
    )
    leader, follower = robot.units(LEADER), robot.units(FOLLOWER)
    pose = MIDDLE + 0.2
    target = Teleoperation(TeleoperationConfig(), robot, leader, follower).target(pose)
    sent = [units.rad_to_lerobot(float(rad)) for units, rad in zip(leader, pose, strict=True)]
    assert [u.rad_to_lerobot(float(r)) for u, r in zip(follower, target, strict=True)] == pytest.approx(sent)


def test_it_starts_softly_from_where_the_follower_stands_and_arrives() -> None:
    teleop = teleoperation(soft_start_s=1.0)
    leader = MIDDLE.copy()
    leader[:5] += [0.6, -0.6, 0.5, -0.5, 0.7]
    pose, commands = MIDDLE.copy(), []
    for k in range(150):
        now_ns = k * PERIOD_NS
        teleop.leader, teleop.follower = at(leader, now_ns), at(pose, now_ns)
        command = teleop.step(now_ns)
        assert command is not None and teleop.pause == ""
        commands.append(command)
        pose = command
    steps = np.abs(np.diff([MIDDLE, *commands], axis=0))
    assert steps[0].max() <= 20.0 * 0.02**2 + 1e-9  # no faster than the acceleration limit allows
    assert steps.max() <= 0.07 + 1e-9 and steps[:10].max() < 0.5 * steps.max()
    assert commands[-1][:5] == pytest.approx(leader[:5], abs=1e-6)


def test_it_holds_while_the_leader_is_silent_and_goes_on_softly_after() -> None:
    teleop = teleoperation(soft_start_s=1.0)
    last, held = None, []
    for k in range(100):
        now_ns = k * PERIOD_NS
        pose = last if last is not None else MIDDLE
        teleop.follower = at(pose, now_ns)
        if k < 40 or k >= 80:
            teleop.leader = at(MIDDLE + [0.8, 0, 0, 0, 0, 0], now_ns)
        last = teleop.step(now_ns)
        assert last is not None
        if 65 <= k < 80:
            assert "no joint states of the leader" in teleop.pause
            held.append(last)
    assert np.ptp(held, axis=0).max() == 0.0
    assert teleop.pause == ""


def test_nothing_is_commanded_without_the_followers_pose_or_while_another_commands() -> None:
    teleop = teleoperation()
    teleop.leader = at(MIDDLE)
    assert teleop.step(0) is None and "follower" in teleop.pause
    teleop.follower = at(MIDDLE + [0.1, 0, 0, 0, 0, 0])
    assert teleop.step(0) is not None
    assert teleop.step(PERIOD_NS, "another commands") is None and teleop.pause == "another commands"
    teleop.follower = at(MIDDLE + [-0.4, 0, 0, 0, 0, 0], 2 * PERIOD_NS)  # the other has moved it
    command = teleop.step(2 * PERIOD_NS)
    assert command is not None and command[0] == pytest.approx(-0.4, abs=0.01)


def test_a_follower_outside_its_limits_is_not_moved() -> None:
    teleop = teleoperation()
    teleop.leader, teleop.follower = at(MIDDLE), at(MIDDLE + [3.0, 0, 0, 0, 0, 0])
    assert teleop.step(0) is None and "shoulder_pan is at 3.00 rad" in teleop.pause


def waiting(**settings: float) -> Teleoperation:
    """Beside a policy; both arms stand still for a second."""
    teleop = teleoperation(**settings)
    teleop.wait_for_motion()
    for k in range(50):
        teleop.leader, teleop.follower = at(MIDDLE, k * PERIOD_NS), at(MIDDLE, k * PERIOD_NS)
        assert teleop.step(k * PERIOD_NS) is None and teleop.pause == "the leader has no control"
    return teleop


def test_beside_a_policy_the_leader_leads_when_it_is_moved_not_when_it_sags() -> None:
    teleop = waiting()
    sagged = MIDDLE.copy()
    for k in range(50, 400):
        sagged[1] += 0.0015  # 0.5 rad in all, 0.075 rad in a second
        now_ns = k * PERIOD_NS
        teleop.leader, teleop.follower = at(sagged, now_ns), at(MIDDLE, now_ns)
        assert teleop.step(now_ns) is None
    now_ns = 400 * PERIOD_NS
    teleop.leader, teleop.follower = at(sagged + [0.2, 0, 0, 0, 0, 0], now_ns), at(MIDDLE, now_ns)
    command = teleop.step(now_ns)
    assert command is not None and teleop.pause == ""
    assert command == pytest.approx(MIDDLE, abs=0.01)  # from where the follower stands
    teleop.wait_for_motion()
    assert teleop.step(now_ns) is None


def test_with_no_motion_set_the_leader_leads_when_it_is_told_to() -> None:
    teleop = waiting(take_over_motion_rad=0.0)
    now_ns = 50 * PERIOD_NS
    teleop.leader, teleop.follower = at(MIDDLE + 0.5, now_ns), at(MIDDLE, now_ns)
    assert teleop.step(now_ns) is None
    teleop.lead()
    assert teleop.step(now_ns) is not None
