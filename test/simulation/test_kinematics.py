# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forward kinematics against poses computed by hand, and the directions in which the arm's joints turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.arrays import FloatArray
from smolvla_ros.policy.preflight.unit_evidence import with_units
from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.kinematics import (
    Kinematics,
    KinematicsError,
    quaternion,
    rotation_from_quaternion,
    rotation_from_rpy,
)
from smolvla_ros.units import load_calibration
from smolvla_ros.urdf import Urdf

CONFIG = Path(__file__).parents[2] / "config"
ROBOT_FILES = ("so100.yaml", "so101.yaml")
ARM_LINKS = ("upper_arm_link", "lower_arm_link", "wrist_link", "gripper_frame_link")
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
SO100 = Urdf.load(Path(__file__).parents[2] / "urdf" / "so100.urdf")
HALF_TURN = math.pi / 2
# Upper arm upright, forearm level and forward, wrist straight: LeRobot's zero
MIDDLE = {
    "shoulder_pan": 0.0,
    "shoulder_lift": 1.8,
    "elbow_flex": -HALF_TURN,
    "wrist_flex": 1.0 - HALF_TURN,
    "wrist_roll": 0.0,
    "gripper": 0.0,
}
FIXED_TIP = np.array([0.0049, -0.1030, 0.0, 1.0])  # in gripper_link, inside of the printed jaw
MOVING_TIP = np.array([-0.0091, -0.0820, 0.0, 1.0])  # in moving_jaw_link, its lowest point


def two_joints(second_type: str = "prismatic") -> Urdf:
    """A joint about z at (1, 0, 0), and on it at (0, 2, 0) one along or about x."""
    return Urdf.from_xml(
        '<robot name="r"><link name="a"/><link name="b"/><link name="c"/>'
        '<joint name="turn" type="continuous"><parent link="a"/><child link="b"/>'
        '<origin xyz="1 0 0"/><axis xyz="0 0 1"/></joint>'
        f'<joint name="slide" type="{second_type}"><parent link="b"/><child link="c"/>'
        '<origin xyz="0 2 0"/><axis xyz="1 0 0"/><limit lower="0" upper="1" velocity="1"/></joint></robot>'
    )


def moved(joint: str, by: float = 0.2) -> dict[str, FloatArray]:
    kinematics = Kinematics(SO100)
    return kinematics.link_poses({**MIDDLE, joint: MIDDLE[joint] + by})


def test_a_turn_and_a_slide_add_up() -> None:
    poses = Kinematics(two_joints()).link_poses({"turn": HALF_TURN, "slide": 0.5})
    np.testing.assert_allclose(poses["b"][:3, 3], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(poses["c"][:3, 3], [-1, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(poses["c"][:3, :3], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)


def test_rpy_turns_about_fixed_axes() -> None:
    np.testing.assert_allclose(
        rotation_from_rpy((HALF_TURN, 0.0, HALF_TURN)), [[0, 0, 1], [1, 0, 0], [0, 1, 0]], atol=1e-12
    )


def test_the_middle_pose_of_the_so100_is_upright_level_and_straight() -> None:
    poses = Kinematics(SO100).link_poses(MIDDLE)
    by_hand = {
        "shoulder_link": (0.0452, 0.0, 0.0165),
        "upper_arm_link": (0.0452 + 0.0306, 0.0, 0.0165 + 0.1025),
        "lower_arm_link": (0.0758 + 0.028, 0.0, 0.119 + 0.11257),
        "wrist_link": (0.1038 + 0.1349, 0.0, 0.23157 + 0.0052),
        "gripper_link": (0.2387 + 0.0601, 0.0, 0.23677),
    }
    for link, position in by_hand.items():
        np.testing.assert_allclose(poses[link][:3, 3], position, atol=1e-9, err_msg=link)
    np.testing.assert_allclose(poses["gripper_frame_link"][:3, 2], [1, 0, 0], atol=1e-9)  # points forward


def lerobot_pose(robot_file: str, values: Sequence[float], unit: str = "degrees") -> dict[str, FloatArray]:
    """Where the links are when LeRobot reports these values of a calibrated arm."""
    robot = with_units(RobotSpec.load(CONFIG / robot_file), unit)
    units = robot.units(load_calibration(CONFIG / "emulated_calibration.json"))
    named = zip(robot.joint_names, units, values, strict=True)
    positions = {name: float(joint.lerobot_to_rad(float(value))) for name, joint, value in named}
    return Kinematics(Urdf.load(robot.urdf_path)).link_poses(positions)


@pytest.mark.parametrize("robot_file", ROBOT_FILES)
def test_lerobots_zero_is_upright_level_and_straight(robot_file: str) -> None:
    for unit, zero in (("degrees", 0.0), ("range_m100_100", 0.0), ("degrees_old_calibration", 90.0)):
        poses = lerobot_pose(robot_file, (0, zero, zero, 0, 0, 50), unit)
        shoulder, elbow, wrist, tip = (poses[link][:3, 3] for link in ARM_LINKS)
        assert elbow[2] - shoulder[2] == pytest.approx(0.1126, abs=0.003)  # upper arm upright
        assert abs(elbow[0] - shoulder[0]) < 0.035
        assert wrist[0] - elbow[0] == pytest.approx(0.135, abs=0.003)  # forearm level and forward
        assert abs(wrist[2] - elbow[2]) < 0.01
        assert tip[0] - wrist[0] > 0.14 and abs(tip[2] - wrist[2]) < 0.012  # gripper straight ahead
        assert max(abs(point[1]) for point in (shoulder, elbow, wrist, tip)) < 0.02
        np.testing.assert_allclose(poses["gripper_frame_link"][:3, 2], [1, 0, 0], atol=0.01)


def test_both_arms_go_to_the_same_place_for_the_same_values() -> None:
    for values in ((20, -30, 40, 10, 50, 80), (-60, 30, -20, 40, -90, 10)):
        one, other = (lerobot_pose(file, values)["gripper_frame_link"] for file in ROBOT_FILES)
        np.testing.assert_allclose(one[:3, :3], other[:3, :3], atol=1e-3)
        assert np.linalg.norm(one[:3, 3] - other[:3, 3]) < 0.015  # the SO-101 is a little shorter


@pytest.mark.parametrize("robot_file", ROBOT_FILES)
def test_lerobots_rest_pose_is_folded_over_the_base_with_the_gripper_down_to_the_table(
    robot_file: str,
) -> None:
    poses = lerobot_pose(robot_file, (0, -100, 92, 70, 0, 3))
    shoulder, elbow, wrist, tip = (poses[link][:3, 3] for link in ARM_LINKS)
    assert elbow[0] < shoulder[0] - 0.08  # the upper arm leans back
    assert np.linalg.norm(wrist - shoulder) < 0.06  # the forearm lies on it
    assert tip[0] > wrist[0] and -0.02 < tip[2] < 0.04
    assert poses["gripper_frame_link"][2, 2] < -0.7  # points down
    assert min(pose[2, 3] for pose in poses.values()) > -0.02  # nothing is inside the table


@pytest.mark.parametrize("robot_file", ROBOT_FILES)
@pytest.mark.parametrize(
    ("joint", "link", "axis", "sign"),
    [
        ("shoulder_pan", "gripper_frame_link", 1, -1),  # to the right
        ("shoulder_lift", "wrist_link", 0, 1),  # forward
        ("elbow_flex", "wrist_link", 2, -1),  # down
        ("wrist_flex", "gripper_frame_link", 2, -1),  # down
    ],
)
def test_lerobots_positive_values_move_the_arm_as_lerobots_arm(
    robot_file: str, joint: str, link: str, axis: int, sign: int
) -> None:
    zero = [0.0, 0, 0, 0, 0, 50]
    more = [value + 20 * (name == joint) for name, value in zip(JOINTS, zero, strict=True)]
    change = lerobot_pose(robot_file, more)[link][axis, 3] - lerobot_pose(robot_file, zero)[link][axis, 3]
    assert sign * change > 0.01


@pytest.mark.parametrize(
    ("joint", "link", "axis", "sign"),
    [
        ("shoulder_pan", "gripper_frame_link", 1, 1),  # to the left
        ("shoulder_lift", "wrist_link", 0, 1),  # forward
        ("elbow_flex", "wrist_link", 2, -1),  # down
        ("wrist_flex", "gripper_frame_link", 2, -1),  # down
        ("wrist_roll", "moving_jaw_link", 1, 1),  # the jaw above goes to the left
    ],
)
def test_positive_angles_move_the_so100_as_described(joint: str, link: str, axis: int, sign: int) -> None:
    before, after = Kinematics(SO100).link_poses(MIDDLE)[link], moved(joint)[link]
    assert sign * (after - before)[axis, 3] > 0.001


def test_positive_opens_the_gripper_and_the_tips_meet_at_the_lower_limit() -> None:
    gaps = []
    for angle in (SO100.joints["gripper"].lower, 0.0, 1.0, SO100.joints["gripper"].upper):
        poses = Kinematics(SO100).link_poses({**MIDDLE, "gripper": angle or 0.0})
        gaps.append(np.linalg.norm(poses["gripper_link"] @ FIXED_TIP - poses["moving_jaw_link"] @ MOVING_TIP))
    assert gaps[0] < 0.0015
    assert gaps == sorted(gaps)


def test_the_wrist_camera_looks_past_the_finger_tips_and_turns_with_the_wrist() -> None:
    for roll in (0.0, 1.0):
        poses = Kinematics(SO100).link_poses({**MIDDLE, "wrist_roll": roll})
        tip = np.linalg.inv(poses["wrist_camera_optical_frame"]) @ poses["gripper_frame_link"][:, 3]
        assert tip[2] > 0.05  # in front of the lens
        assert abs(tip[0] / tip[2]) < 0.3 and abs(tip[1] / tip[2]) < 0.3  # near the middle of the picture


def test_the_root_stands_still_and_every_link_has_a_rigid_pose() -> None:
    poses = moved("elbow_flex", 0.7)
    np.testing.assert_array_equal(poses["base_link"], np.eye(4))
    assert set(poses) == set(SO100.links)
    for pose in poses.values():
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)


def test_a_missing_joint_is_named() -> None:
    with pytest.raises(
        KinematicsError, match="no position for joint 'slide'; given: turn, needed: turn, slide"
    ):
        Kinematics(two_joints()).link_poses({"turn": 0.0})


def test_a_position_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(KinematicsError, match="position of joint 'turn' is nan"):
        Kinematics(two_joints()).link_poses({"turn": math.nan, "slide": 0.0})


def test_joints_of_more_than_one_number_are_refused() -> None:
    with pytest.raises(KinematicsError, match="joint 'slide' is floating"):
        Kinematics(two_joints("floating"))


def test_a_quaternion_gives_its_rotation_back() -> None:
    random = np.random.default_rng(0)
    for rpy in random.uniform(-np.pi, np.pi, (50, 3)).tolist():
        rotation = rotation_from_rpy(tuple(rpy))
        xyzw = quaternion(rotation)
        assert np.linalg.norm(xyzw) == pytest.approx(1.0)
        np.testing.assert_allclose(rotation_from_quaternion(-3.0 * xyzw), rotation, atol=1e-9)
