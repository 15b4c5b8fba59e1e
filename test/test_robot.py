# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robot files are read, and each mistake in one is an error that names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.units import MotorCalibration

from .package_files import ROOT

SO100 = ROOT / "config" / "so100.yaml"
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = SO100.read_text().replace("../urdf", str(ROOT / "urdf"))
    assert old in text
    path = tmp_path / "robot.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_shipped_robot_has_lerobots_joints_in_order() -> None:
    assert RobotSpec.load(SO100).joint_names == JOINTS


def test_limits_come_from_the_urdf_and_hold_the_middle_pose() -> None:
    robot = RobotSpec.load(SO100)
    middle = np.array([joint.middle_rad for joint in robot.joints])
    assert (robot.lower_rad < middle).all() and (middle < robot.upper_rad).all()
    assert (robot.max_speed_rad_s > 0).all()


def test_a_joint_may_have_an_acceleration_limit_of_its_own(tmp_path: Path) -> None:
    path = edited(tmp_path, "unit: degrees", "unit: degrees, max_acceleration_rad_s2: 8.0")
    assert RobotSpec.load(path).max_acceleration_rad_s2.tolist() == [8.0, *5 * [np.inf]]


def test_only_the_gripper_grips() -> None:
    assert [joint.is_gripper for joint in RobotSpec.load(SO100).joints] == [*5 * [False], True]


def test_cameras_are_selected_in_the_robot_files_order() -> None:
    chosen = RobotSpec.load(SO100).select_cameras(["wrist", "top"])
    assert [camera.name for camera in chosen] == ["top", "wrist"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: shoulder_pan", "name: sholder_pan", "no joint 'sholder_pan'.*did you mean 'shoulder_pan'"),
        ("rate_hz: 30.0  ", "rate: 30.0  ", "'rate_hz' is missing"),
        ("rate_hz: 30.0  ", "rate_hz: -1.0  ", "must be above 0, got -1.0"),
        ("rate_hz: 30.0  ", "rate_hz: .nan  ", "expected a finite number"),
        ("direction: 1", "direction: 2", "must be 1 or -1, got 2"),
        ("direction: 1", "direction: 1, directoin: 1", "unknown key 'directoin'.*did you mean 'direction'"),
        ("middle_rad: 0.0", "middle_rad: 9.0", "outside the URDF limits"),
        ("unit: degrees", "unit: radians", "'radians' is not one of degrees"),
        (
            "unit: degrees",
            "unit: degrees, max_acceleration_rad_s2: 0",
            "max_acceleration_rad_s2: must be above 0, got 0.0",
        ),
        ("servo_id: 2", "servo_id: 1", "servo_id '1' is defined 2 times"),
        ("name: wrist,", "name: top,", "camera 'top' is defined 2 times"),
        ("so100.urdf", "nowhere.urdf", "nowhere.urdf"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(RobotSpecError, match=message):
        RobotSpec.load(edited(tmp_path, old, new))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RobotSpecError, match="absent.yaml"):
        RobotSpec.load(tmp_path / "absent.yaml")


def test_an_unknown_camera_gets_the_nearest_name() -> None:
    with pytest.raises(RobotSpecError, match="did you mean 'wrist'"):
        RobotSpec.load(SO100).camera("wrst")


def test_a_calibration_must_name_every_joint() -> None:
    one = {
        "shoulder_pan": MotorCalibration(id=1, drive_mode=0, homing_offset=0, range_min=100, range_max=4000)
    }
    with pytest.raises(RobotSpecError, match="no entry for shoulder_lift"):
        RobotSpec.load(SO100).units(one)


def test_a_calibration_of_other_servo_ids_is_refused() -> None:
    robot = RobotSpec.load(SO100)
    swapped = {
        joint.name: MotorCalibration(
            id=7 - joint.servo_id, drive_mode=0, homing_offset=0, range_min=100, range_max=4000
        )
        for joint in robot.joints
    }
    with pytest.raises(RobotSpecError, match="has shoulder_pan as servo 6, robot 'so100' as 1"):
        robot.units(swapped)
