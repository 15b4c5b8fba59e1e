# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose of the arm is compared with the training data."""

from __future__ import annotations

from .preflight_cases import DEGREES, MIDDLE, NARROW, QUIET, check, expectations, only, pose


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


def test_a_joint_that_hardly_moved_may_be_a_few_degrees_off() -> None:
    stiff = {**QUIET, "std": [0.1, *QUIET["std"][1:]]}
    assert check(expectations(stiff), units="degrees", positions_rad=pose(shoulder_pan=15)).findings == ()
    assert (
        only(check(expectations(stiff), units="degrees", positions_rad=pose(shoulder_pan=40))).severity
        == "error"
    )


def test_a_pose_within_the_data_range_is_accepted() -> None:
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
