# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Preflight finds each mismatch of checkpoint and robot once, and names the remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import yaml

from smolvla_ros.policy.preflight.preflight import (
    FeatureStatistics,
)
from smolvla_ros.units import UNIT_TEXT, Unit

from .preflight_cases import (
    CALIBRATION,
    DEGREES,
    IN_RANGE,
    MIDDLE,
    NARROW,
    OLD,
    QUIET,
    RADIANS,
    ROBOT,
    check,
    expectations,
    in_units,
    only,
    pose,
    statistics,
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
    assert "`policy_cameras:=top,wrist,side`" in finding.remedy


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
    ("fps", "rate_hz"), [(10.0, 10.0), (50.0, 50.0), (29.97, 30.0), (1.0, 30.0), (None, 30.0)]
)
def test_actions_have_the_rate_of_the_data_if_it_is_known(fps: float | None, rate_hz: float) -> None:
    expected = expectations(fps=fps)
    assert expected.action_rate_hz(ROBOT) == rate_hz
    assert not check(expected).findings


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


def test_a_doubtful_unit_is_a_warning_with_the_nearer_unit() -> None:
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


def test_one_outlier_in_the_data_does_not_change_the_unit() -> None:
    glitch = {**DEGREES, "min": [-175, *DEGREES["min"][1:]], "q01": DEGREES["min"], "q99": DEGREES["max"]}
    assert check(expectations(glitch)).findings == ()
