# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robot descriptions: what is read, and the errors for what is not supported."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from smolvla_ros.urdf import DEFAULT_RGBA, Box, Cylinder, Sphere, Urdf, UrdfError

SO100 = Path(__file__).parents[1] / "urdf" / "so100.urdf"
JOINTS = ["shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"]
LIMIT = '<limit lower="-1" upper="2" effort="5" velocity="3"/>'


def robot(body: str) -> str:
    return f'<robot name="r"><link name="a"/><link name="b"/>{body}</robot>'


def joint(inside: str = LIMIT, joint_type: str = "revolute", child: str = "b") -> str:
    return f'<joint name="j" type="{joint_type}"><parent link="a"/><child link="{child}"/>{inside}</joint>'


def visual(inside: str) -> str:
    return f'<robot name="r"><link name="a"><visual>{inside}</visual></link></robot>'


def test_the_so100_has_lerobots_joints_in_lerobots_order() -> None:
    urdf = Urdf.load(SO100)
    assert [name for name, entry in urdf.joints.items() if entry.is_movable] == JOINTS
    assert urdf.name == "so100"
    assert urdf.root == "base_link"


def test_the_so100_has_the_links_that_tools_ask_for() -> None:
    links = set(Urdf.load(SO100).links)
    arm = {
        "shoulder_link",
        "upper_arm_link",
        "lower_arm_link",
        "wrist_link",
        "gripper_link",
        "moving_jaw_link",
    }
    cameras = {
        f"{name}_camera_{end}" for name in ("top", "wrist", "side") for end in ("link", "optical_frame")
    }
    assert links >= {"base_link", "gripper_frame_link"} | arm | cameras


def test_every_so100_joint_has_limits_and_a_speed_that_the_servo_can_reach() -> None:
    no_load_speed = math.radians(60) / 0.222  # STS3215 at 6 V
    for name in JOINTS:
        entry = Urdf.load(SO100).joints[name]
        assert entry.lower is not None and entry.upper is not None and entry.lower < entry.upper
        assert entry.velocity is not None and 1.0 <= entry.velocity <= no_load_speed


def test_a_joint_keeps_its_numbers() -> None:
    inside = '<origin xyz="1 2 3" rpy="0.1 0.2 0.3"/><axis xyz="0 0 -2"/>' + LIMIT
    entry = Urdf.from_xml(robot(joint(inside))).joints["j"]
    assert (entry.origin_xyz, entry.origin_rpy) == ((1.0, 2.0, 3.0), (0.1, 0.2, 0.3))
    assert entry.axis == (0.0, 0.0, -1.0)  # of unit length
    assert (entry.lower, entry.upper, entry.velocity) == (-1.0, 2.0, 3.0)


def test_a_continuous_joint_needs_no_limits() -> None:
    entry = Urdf.from_xml(robot(joint("", "continuous"))).joints["j"]
    assert (entry.lower, entry.upper, entry.velocity) == (None, None, None)
    assert entry.axis == (1.0, 0.0, 0.0)  # what URDF says when none is given


def test_shapes_are_read_and_meshes_are_left_out() -> None:
    text = (
        '<robot name="r"><link name="a">'
        '<visual><geometry><box size="1 2 3"/></geometry></visual>'
        '<visual><geometry><mesh filename="a.stl"/></geometry></visual>'
        '<visual><geometry><cylinder radius="0.1" length="2"/></geometry></visual>'
        '<visual><geometry><sphere radius="0.5"/></geometry></visual>'
        "</link></robot>"
    )
    shapes = [entry.shape for entry in Urdf.from_xml(text).links["a"].visuals]
    assert shapes == [Box((1.0, 2.0, 3.0)), Cylinder(0.1, 2.0), Sphere(0.5)]


def test_colours_come_by_name_inline_or_by_default() -> None:
    box = '<geometry><box size="1 1 1"/></geometry>'
    text = (
        '<robot name="r"><material name="red"><color rgba="1 0 0 1"/></material><link name="a">'
        f'<visual>{box}<material name="red"/></visual>'
        f'<visual>{box}<material name="own"><color rgba="0 0 1 0.5"/></material></visual>'
        f"<visual>{box}</visual></link></robot>"
    )
    colours = [entry.rgba for entry in Urdf.from_xml(text).links["a"].visuals]
    assert colours == [(1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 0.5), DEFAULT_RGBA]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<robot", "not valid XML"),
        ("<sdf/>", "outermost element is <sdf>"),
        ('<robot name="r"/>', "has no <link>"),
        (
            '<robot name="r" xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:arm/></robot>',
            "expand them first",
        ),
        (robot(joint(joint_type="hinge")), "joint 'j': type 'hinge' is not one of revolute"),
        (robot('<joint name="j"><parent link="a"/><child link="b"/></joint>'), "attribute 'type' is missing"),
        (robot('<joint name="j" type="fixed"><child link="b"/></joint>'), "joint 'j': <parent> is missing"),
        (robot(joint("")), "joint 'j': a revolute joint needs <limit"),
        (robot(joint('<limit lower="low" upper="1"/>')), "joint 'j': <limit>: lower=\"low\" must be numbers"),
        (robot(joint('<limit lower="nan" upper="1"/>')), "must be 1 finite number"),
        (robot(joint('<origin xyz="1 2"/>' + LIMIT)), '<origin>: xyz="1 2" must be 3 finite numbers'),
        (robot(joint('<axis xyz="0 0 0"/>' + LIMIT)), "<axis xyz> must not be zero"),
        (robot(joint(child="c")), "joint 'j': child link 'c' is not defined"),
        (robot(""), "2 root links (a, b)"),
        (robot(joint() + joint().replace('"j"', '"k"')), "link 'b' is the child of two joints"),
        (robot(joint() + joint()), "joint 'j' is defined more than once"),
        ('<robot name="r"><link name="a"/><link name="a"/></robot>', "link 'a' is defined more than once"),
        (visual("<geometry/>"), "link 'a': <visual> needs <geometry>"),
        (visual('<geometry><box size="1 0 1"/></geometry>'), "<box>: size must be above 0"),
        (visual('<geometry><cylinder radius="1"/></geometry>'), "<cylinder>: attribute 'length' is missing"),
        (visual('<geometry><cone radius="1"/></geometry>'), "<cone>: not a shape of URDF"),
        (
            visual('<geometry><sphere radius="1"/></geometry><material name="x"/>'),
            "material 'x' is not defined (known: none)",
        ),
    ],
)
def test_a_faulty_description_is_refused_with_the_place_and_the_reason(text: str, message: str) -> None:
    with pytest.raises(UrdfError) as caught:
        Urdf.from_xml(text, "arm.urdf")
    assert message in str(caught.value)
    assert str(caught.value).startswith("arm.urdf: ")


def test_links_in_a_ring_are_called_a_cycle() -> None:
    ring = (
        '<joint name="j" type="fixed"><parent link="a"/><child link="b"/></joint>'
        '<joint name="k" type="fixed"><parent link="b"/><child link="a"/></joint>'
    )
    with pytest.raises(UrdfError, match="a <- b <- a form a cycle"):
        Urdf.from_xml(robot(ring))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UrdfError, match=r"arm\.urdf' cannot be read: No such file"):
        Urdf.load(tmp_path / "arm.urdf")


def test_a_binary_file_is_not_a_description(tmp_path: Path) -> None:
    path = tmp_path / "arm.urdf"
    path.write_bytes(b"\xff\xfe\x00solid")
    with pytest.raises(UrdfError, match="not UTF-8"):
        Urdf.load(path)
