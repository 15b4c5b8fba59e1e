# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong between a checkpoint and a robot is found before anything moves: once, and with the remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from smolvla_ros.finding import Finding
from smolvla_ros.policy.preflight.preflight import (
    Expectations,
    FeatureStatistics,
    Report,
    RobotSetup,
    preflight,
)
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import UNIT_TEXT, Unit, load_calibration

CONFIG = Path(__file__).parents[2] / "config"
ROBOT = RobotSpec.load(CONFIG / "so100.yaml")
CALIBRATION = load_calibration(CONFIG / "emulated_calibration.json")
MIDDLE = np.array([joint.middle_rad for joint in ROBOT.joints])

# A pick-and-place data set in LeRobot's degrees, joint by joint.
DEGREES = {
    "mean": [-5, -40, 30, 50, 0, 15],
    "std": [28, 45, 40, 25, 60, 18],
    "min": [-70, -101, -60, -20, -150, 0],
    "max": [65, 40, 95, 95, 140, 62],
}
IN_RANGE = {
    "mean": [-5, -40, 30, 50, 0, 15],
    "std": [28, 45, 40, 25, 30, 18],
    "min": [-70, -100, -60, -20, -80, 0],
    "max": [65, 40, 100, 95, 75, 62],
}
QUIET = {"mean": [0, 0, 0, 0, 0, 50], "std": [30, 20, 20, 20, 30, 25]}  # fits degrees and -100..100
RADIANS = {name: [*(v / 57.3 for v in values[:5]), values[5]] for name, values in DEGREES.items()}
# smolvla_base: std as in its files, means between -27 and 120 as reported
OLD = {"mean": [-3, 112, 95, 55, -27, 14], "std": [26.4, 52.4, 49.9, 37.0, 59.4, 19.0]}


def statistics(values: Mapping[str, Sequence[float]], mode: str = "MEAN_STD") -> FeatureStatistics:
    return FeatureStatistics(
        {name: np.array(v, np.float32) for name, v in values.items()}, "stats.json", mode
    )


def expectations(data: Mapping[str, Sequence[float]] = DEGREES, **changes: Any) -> Expectations:
    values: dict[str, Any] = {
        "name": "pick@020000",
        "image_keys": ("camera1", "camera2"),
        "image_size": 512,
        "state_dim": 6,
        "action_dim": 6,
        "chunk_size": 50,
        "state": statistics(data),
        "action": statistics(data),
        "tokenizer": "vlm",
    }
    return Expectations(**{**values, **changes})


def check(expected: Expectations, **changes: Any) -> Report:
    return preflight(expected, RobotSetup(**{"robot": ROBOT, "calibration": CALIBRATION, **changes}))


def only(report: Report) -> Finding:
    [finding] = report.findings
    return finding


def in_units(unit: Any) -> RobotSpec:
    return replace(
        ROBOT, joints=tuple(j if j.name == "gripper" else replace(j, unit=unit) for j in ROBOT.joints)
    )


def test_what_fits_has_no_findings_and_says_what_was_compared() -> None:
    report = check(expectations(fps=30.0), positions_rad=MIDDLE)
    assert report.findings == ()
    assert report.facts["cameras"] == (
        "1.  camera1  <-  top    top/image_raw/compressed    640x480 becomes 512x384 of 512x512",
        "2.  camera2  <-  wrist  wrist/image_raw/compressed  640x480 becomes 512x384 of 512x512",
    )
    assert report.facts["units"][0] == "degrees, gripper 0..100 (as the robot file says)"
    assert report.facts["tokenizer"] == ("vlm",)
    assert "30 frames per second" in report.facts["rate"][0]
    assert [line.split()[0] for line in report.facts["pose"]] == list(ROBOT.joint_names)


# Cameras


@pytest.mark.parametrize(
    ("image_keys", "suggested"),
    [
        (("OBS_IMAGE_1", "OBS_IMAGE_3"), {"top": "OBS_IMAGE_1", "side": "OBS_IMAGE_3"}),
        (("image", "image2", "image3"), {"top": "image", "wrist": "image2", "side": "image3"}),
        (("top", "wrist"), {"top": "top", "wrist": "wrist"}),
        (("laptop", "phone"), {"top": "laptop", "wrist": "phone"}),
        (("side", "up"), {"side": "side", "top": "up"}),
        (("wrist_left", "front"), {"wrist": "wrist_left", "top": "front"}),
    ],
)  # fmt: skip
def test_cameras_of_other_names_are_suggested_as_lines_of_the_robot_file(
    image_keys: tuple[str, ...], suggested: dict[str, str]
) -> None:
    report = check(expectations(image_keys=image_keys))
    finding = only(report)
    assert finding.check == "cameras" and finding.severity == "error"
    lines = yaml.safe_load("\n".join(line for line in finding.remedy.splitlines() if line.startswith("  - ")))
    assert {line["name"]: line["image_key"] for line in lines} == suggested
    assert all(set(line) == set(ROBOT.cameras[0].__dict__) for line in lines)
    assert "nothing" in report.facts["cameras"][0]  # nothing is applied silently


def test_a_camera_too_few_is_one_finding() -> None:
    finding = only(check(expectations(image_keys=("camera1", "camera2", "camera3", "camera4"))))
    assert "Without a partner: camera4" in finding.message
    assert "cameras:=[top, wrist, side]" in finding.remedy


def test_a_rename_of_the_checkpoint_is_the_first_suggestion() -> None:
    finding = only(check(expectations(image_keys=("lens",), renames={"side": "lens"})))
    assert "{name: side, image_key: lens" in finding.remedy


def test_chosen_cameras_may_be_fewer() -> None:
    assert check(expectations(), cameras=["top"]).findings == ()


@pytest.mark.parametrize(
    ("topics", "problem", "remedy"),
    [
        ({"camera1": "/top/image_raw"}, "no topic feeds wrist (camera2)", "one topic for each"),
        ({"camera1": "/a/image_raw", "wrist": "/a/image_raw"}, "/a/image_raw would feed two cameras", ""),
        (
            {"OBS_IMAGE_1": "/a/image_raw", "camera2": "/b/image_raw"},
            "no camera or image in use is called OBS_IMAGE_1",
            "camera1=/a/image_raw",
        ),
    ],
)
def test_topics_must_feed_each_camera(topics: dict[str, str], problem: str, remedy: str) -> None:
    finding = only(check(expectations(), topics=topics))
    assert finding.check == "topics" and finding.severity == "error"
    assert problem in finding.message and remedy in finding.remedy


def test_other_topics_are_shown_with_their_remap() -> None:
    topics = {"camera1": "/usb_cam/image_raw/compressed", "wrist": "/wrist/image_raw"}
    cameras = check(expectations(), topics=topics).facts["cameras"]
    assert "(-r top/image_raw/compressed:=/usb_cam/image_raw/compressed)" in cameras[0]
    assert "/wrist/image_raw " in cameras[1] and "-r" not in cameras[1]


# Sizes and statistics


@pytest.mark.parametrize("dims", [(7, 6), (6, 7), (14, 14)])
def test_another_number_of_values_than_joints_is_one_finding(dims: tuple[int, int]) -> None:
    wide = [statistics({"mean": [0.0] * dim, "std": [30.0] * dim}) for dim in dims]
    expected = expectations(state_dim=dims[0], action_dim=dims[1], state=wide[0], action=wide[1])
    finding = only(check(expected, positions_rad=MIDDLE))
    assert finding.check == "dimensions" and f"{dims[0]} state and {dims[1]} action" in finding.message


@pytest.mark.parametrize(("mode", "low"), [("MEAN_STD", "std"), ("MIN_MAX", "min")])
def test_a_joint_that_never_moved_in_the_state_is_refused(mode: str, low: str) -> None:
    still = {name: list(values) for name, values in DEGREES.items()}
    still[low][3] = 0.0 if low == "std" else still["max"][3]
    finding = only(check(expectations(state=statistics(still, mode))))
    assert (finding.severity, finding.check) == ("error", "statistics")
    assert finding.message.startswith("wrist_flex did not move")
    assert only(check(expectations(action=statistics(still, mode)))).severity == "warning"


@pytest.mark.parametrize(
    ("fps", "severity"), [(10.0, "error"), (50.0, "warning"), (29.97, None), (1.0, None), (None, None)]
)
def test_the_rate_of_the_data_is_compared_with_the_robots(fps: float | None, severity: str | None) -> None:
    findings = check(expectations(fps=fps)).findings
    assert [(f.check, f.severity) for f in findings] == ([("rate", severity)] if severity else [])
    assert not findings or f"rate_hz: {fps:.1f}" in findings[0].remedy


def test_a_calibration_of_another_arm_is_a_finding() -> None:
    mine = {name: motor for name, motor in CALIBRATION.items() if name != "elbow_flex"}
    assert only(check(expectations(), calibration=mine)).check == "calibration"


# Units


@pytest.mark.parametrize(
    ("data", "file_says", "looks"),
    [
        (RADIANS, "degrees", "look like radians"),
        (RADIANS, "range_m100_100", "look like radians"),
        (IN_RANGE, "degrees", "look like -100..100"),
        (DEGREES, "range_m100_100", "look like degrees"),
        (OLD, "degrees", "look like degrees of LeRobot's older calibration"),
        (OLD, "range_m100_100", "look like degrees of LeRobot's older calibration"),
    ],
)
@pytest.mark.parametrize("calibration", [CALIBRATION, None], ids=["calibrated", "urdf"])
def test_statistics_in_other_units_than_the_robot_file_says_are_refused(
    data: dict[str, Any], file_says: str, looks: str, calibration: Any
) -> None:
    finding = only(check(expectations(data), robot=in_units(file_says), calibration=calibration))
    assert (finding.severity, finding.check) == ("error", "units")
    said = {"degrees": "degrees", "range_m100_100": "-100..100"}[file_says]
    assert looks in finding.message and f"the robot file says {said}" in finding.message


@pytest.mark.parametrize(("data", "unit"), [(DEGREES, "degrees"), (IN_RANGE, "range_m100_100")])
def test_statistics_that_only_one_unit_explains_need_no_confirmation(data: dict[str, Any], unit: str) -> None:
    report = check(expectations(data), robot=in_units(unit))
    assert report.errors == () and all("doubt" not in finding.message for finding in report.findings)
    assert unit != "degrees" or report.findings == ()


def test_a_doubt_that_mean_and_std_leave_is_said_with_what_they_come_nearer_to() -> None:
    data = {"mean": [-17, 98, 81, 50, -2, 24], "std": [26, 25, 36, 47, 86, 20]}
    finding = only(check(expectations(data)))
    assert (finding.severity, finding.check) == ("warning", "units")
    assert (
        "leave a doubt about the units, come nearer to degrees of LeRobot's older calibration"
        in finding.message
    )


def test_units_that_could_be_either_are_to_be_confirmed() -> None:
    finding = only(check(expectations(QUIET)))
    assert (finding.severity, finding.check) == ("warning", "units")
    assert "could as well be -100..100" in finding.message and "units:=degrees" in finding.remedy
    for unit in ("degrees", "range_m100_100"):
        report = check(expectations(QUIET), units=unit)
        assert report.findings == () and f"confirmed by units:={unit}" in report.facts["units"][0]


def test_a_confirmed_unit_is_used_and_the_evidence_only_warns() -> None:
    finding = only(check(expectations(OLD), units="degrees"))
    assert finding.severity == "warning" and "but `units` says degrees" in finding.message
    half_open = MIDDLE + [0.5, 0, 0, 0, 0, 0]
    [in_degrees, in_range] = (
        check(expectations(QUIET), units=unit, positions_rad=half_open).facts["pose"][0].split()[1]
        for unit in ("degrees", "range_m100_100")
    )
    assert float(in_degrees) == pytest.approx(-28.7, abs=0.1) and float(in_range) == pytest.approx(
        -25.1, abs=0.1
    )


@pytest.mark.parametrize("unit", [unit for unit in get_args(Unit) if unit != "range_0_100"])
def test_every_unit_of_the_arm_joints_can_be_checked_and_named(unit: Unit) -> None:
    far = check(expectations(NARROW), robot=in_units(unit), positions_rad=pose(wrist_flex=-85))
    assert f"({UNIT_TEXT[unit]}) is" in next(f.message for f in far.findings if f.check == "pose")
    assert far.facts["units"][0].startswith(UNIT_TEXT[unit]) and set(UNIT_TEXT) == set(get_args(Unit))
    assert check(expectations(), robot=in_units(unit), units=unit, positions_rad=MIDDLE).facts["pose"]


def test_the_older_calibration_of_an_arm_with_other_joints_is_read_as_degrees() -> None:
    joints = tuple(
        replace(joint, name=f"left_{joint.name}") for joint in in_units("degrees_old_calibration").joints
    )
    calibration = {f"left_{name}": motor for name, motor in CALIBRATION.items()}
    other = replace(ROBOT, joints=joints)
    assert check(expectations(), robot=other, calibration=calibration).findings == ()


def test_units_of_the_older_calibration_can_be_confirmed_or_written_in_the_robot_file() -> None:
    assert "`unit: degrees_old_calibration`" in only(check(expectations(OLD))).remedy
    assert check(expectations(OLD), units="degrees_old_calibration").findings == ()
    assert check(expectations(OLD), robot=in_units("degrees_old_calibration")).findings == ()
    finding = only(check(expectations(DEGREES), robot=in_units("degrees_old_calibration")))
    assert finding.severity == "error" and "says degrees of LeRobot's older calibration" in finding.message


def test_without_statistics_the_units_are_to_be_confirmed() -> None:
    none = FeatureStatistics({}, "none")
    assert only(check(expectations(state=none, action=none))).severity == "warning"
    assert check(expectations(state=none, action=none), units="degrees").findings == ()


def test_a_gripper_in_other_units_is_refused() -> None:
    data = {
        name: [*values[:5], v] for (name, values), v in zip(DEGREES.items(), (-60, 40, -110, 5), strict=True)
    }
    finding = only(check(expectations(data)))
    assert finding.severity == "error" and "gripper of state is -110..5, possible 0..100" in finding.message


def test_one_glitch_in_the_data_is_no_unit() -> None:
    glitch = {**DEGREES, "min": [-175, *DEGREES["min"][1:]], "q01": DEGREES["min"], "q99": DEGREES["max"]}
    assert check(expectations(glitch)).findings == ()


# Pose


def pose(**degrees_from_middle: float) -> Any:
    directions = {joint.name: joint.direction for joint in ROBOT.joints}
    turned = [directions[j.name] * math.radians(degrees_from_middle.get(j.name, 0.0)) for j in ROBOT.joints]
    return MIDDLE + turned


NARROW = {"mean": [0, -60, 40, 50, 0, 15], "std": [8, 5, 6, 5, 60, 18]}


def test_a_pose_far_from_the_data_is_refused_and_named() -> None:
    finding = only(
        check(expectations(NARROW), units="degrees", positions_rad=pose(elbow_flex=40, wrist_flex=50))
    )
    assert (finding.severity, finding.check) == ("error", "pose")
    assert "this pose is 12 sigma from anything the policy saw" in finding.message
    assert "shoulder_lift at 0.0 (degrees) is 12 sigma from -60.0 +- 5.0" in finding.message
    assert "units or calibration?" in finding.remedy


def test_a_pose_somewhat_off_is_a_warning_and_the_bound_can_be_moved() -> None:
    off = pose(shoulder_lift=-60 + 25, elbow_flex=40, wrist_flex=50)
    assert only(check(expectations(NARROW), units="degrees", positions_rad=off)).severity == "warning"
    refused = check(expectations(NARROW), units="degrees", positions_rad=off, max_pose_sigma=4.5)
    assert only(refused).severity == "error"
    assert check(expectations(NARROW), units="degrees", positions_rad=off, max_pose_sigma=0.0).findings == ()


def test_a_joint_that_hardly_moved_forgives_a_few_degrees() -> None:
    stiff = {**QUIET, "std": [0.1, *QUIET["std"][1:]]}
    assert check(expectations(stiff), units="degrees", positions_rad=pose(shoulder_pan=15)).findings == ()
    assert (
        only(check(expectations(stiff), units="degrees", positions_rad=pose(shoulder_pan=40))).severity
        == "error"
    )


def test_where_the_data_have_been_is_never_far() -> None:
    seen = {**QUIET, "std": [5.0, *QUIET["std"][1:]], "min": [-90] * 5 + [0], "max": [95] * 6}
    assert check(expectations(seen), units="degrees", positions_rad=pose(shoulder_pan=-85)).findings == ()


def test_an_arm_at_rest_beside_its_workspace_may_start() -> None:
    folded = pose(shoulder_lift=-100, elbow_flex=90, wrist_flex=70)
    report = check(expectations({name: DEGREES[name] for name in ("mean", "std")}), positions_rad=folded)
    assert not [finding for finding in report.findings if finding.check == "pose"]


def test_joint_states_in_degrees_are_recognised() -> None:
    finding = only(check(expectations(), positions_rad=[-5.0, -40.0, 30.0, 50.0, 0.0, 15.0]))
    assert finding.severity == "error" and "are these degrees?" in finding.message


def test_without_calibration_the_gripper_is_left_out_of_the_pose() -> None:
    report = check(expectations(), calibration=None, positions_rad=MIDDLE)
    assert report.findings == () and report.facts["pose"][-1] == "not compared: gripper"
