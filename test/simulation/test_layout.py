# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random layouts: in reach, apart, the same for the same seed; and errors that name what is wrong."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest

from smolvla_ros.simulation.expert import GRASP_POINT, jaw_yaw
from smolvla_ros.simulation.inverse_kinematics import ARM_JOINTS, InverseKinematics
from smolvla_ros.simulation.kinematics import Kinematics, KinematicsError
from smolvla_ros.simulation.layout import CUBE_GAP_M, TRAY_GAP_M, LayoutError, Tray, random_layout
from smolvla_ros.urdf import Urdf

URDFS = Path(__file__).parents[2] / "urdf"
SO100 = Urdf.load(URDFS / "so100.urdf")


def test_objects_are_apart_and_where_the_gripper_reaches_them_at_every_height_it_needs() -> None:
    inverse = InverseKinematics(SO100, GRASP_POINT)
    for seed in range(100):
        layout = random_layout(seed)
        for one, other in itertools.combinations(layout.cubes, 2):
            assert math.dist((one.x_m, one.y_m), (other.x_m, other.y_m)) >= CUBE_GAP_M
        for cube, tray in itertools.product(layout.cubes, layout.trays):
            assert math.dist((cube.x_m, cube.y_m), (tray.x_m, tray.y_m)) >= TRAY_GAP_M
        for place, height in itertools.product((*layout.cubes, *layout.trays), (0.02, 0.05, 0.1)):
            yaw = jaw_yaw(place.yaw_rad, place.x_m, place.y_m)
            assert inverse.joints((place.x_m, place.y_m, height), yaw) is not None


def test_the_joints_found_bring_the_grasp_point_to_its_target() -> None:
    kinematics, inverse = Kinematics(SO100), InverseKinematics(SO100, GRASP_POINT)
    for seed in range(50):
        for cube in random_layout(seed).cubes:
            target = (cube.x_m, cube.y_m, 0.02)
            joints = inverse.joints(target, cube.yaw_rad)
            assert joints is not None
            pose = kinematics.link_poses({**dict(zip(ARM_JOINTS, joints)), "gripper": 0.0})["gripper_link"]
            assert (pose[:3, :3] @ GRASP_POINT + pose[:3, 3]).tolist() == pytest.approx(target, abs=0.006)
            turn = math.atan2(pose[1, 0], pose[0, 0]) - cube.yaw_rad
            assert math.cos(turn) > 0.99


def test_a_point_out_of_reach_has_no_joints() -> None:
    inverse = InverseKinematics(SO100, GRASP_POINT)
    assert inverse.joints((0.6, 0.0, 0.02), 0.0) is None
    assert inverse.joints((0.05, 0.0, 0.02), 0.0) is None


def test_an_arm_that_is_built_otherwise_is_refused() -> None:
    with pytest.raises(KinematicsError, match="so101"):
        InverseKinematics(Urdf.load(URDFS / "so101.urdf"), GRASP_POINT)


def test_one_seed_gives_one_layout() -> None:
    assert random_layout(7) == random_layout(7) != random_layout(8)


@pytest.mark.parametrize(
    ("cubes", "trays", "word"),
    [(("red",) * 12, (), "12 cubes"), (("red", "pink"), (), "pink"), (("red",), ("white",) * 3, "3 trays")],
)
def test_impossible_layouts_are_refused_by_name(
    cubes: tuple[str, ...], trays: tuple[str, ...], word: str
) -> None:
    with pytest.raises(LayoutError, match=word):
        random_layout(0, cubes, trays)


def test_a_turned_tray_contains_what_is_between_its_walls() -> None:
    tray = Tray("white_tray", "white", 0.2, 0.1, math.pi / 4)
    assert tray.contains(0.2 + 0.07, 0.1) and not tray.contains(0.2 + 0.05, 0.1 + 0.05)
    assert not tray.contains(0.2 + 0.07, 0.1, margin_m=0.02)
