# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Unit conversions against values made with LeRobot itself, and the calibration file's checks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smolvla_ros.units import (
    CalibrationError,
    JointUnits,
    MotorCalibration,
    Unit,
    load_calibration,
    save_calibration,
)

from .package_files import CALIBRATION_FILE

UNITS: tuple[Unit, ...] = get_args(Unit)
GOLDEN_FILE = Path(__file__).parent / "data/golden_units/unit_cases.json"
GOLDEN = json.loads(GOLDEN_FILE.read_text())["motor_units"]["cases"]
EMULATED = Path(CALIBRATION_FILE)
ENTRY = {"id": 1, "drive_mode": 0, "homing_offset": -123, "range_min": 740, "range_max": 3300}

reproducible = settings(derandomize=True, deadline=None, database=None)
calibrations = st.builds(
    lambda drive_mode, ends: MotorCalibration(1, drive_mode, 0, min(ends), max(ends)),
    st.integers(0, 1),
    st.lists(st.integers(0, 4095), min_size=2, max_size=2, unique=True),
)
joints = st.builds(
    JointUnits,
    st.sampled_from(("wrist_flex", "shoulder_lift", "elbow_flex")),  # the last two had another zero
    st.sampled_from(UNITS),
    st.sampled_from((1, -1)),
    st.floats(-3.2, 3.2),
    calibrations,
)


def units_of(case: dict[str, Any]) -> JointUnits:
    calibration = MotorCalibration(
        1, case["drive_mode"], case["homing_offset"], case["range_min"], case["range_max"]
    )
    unit: Unit = case["norm_mode"].lower()
    return JointUnits("joint", unit, 1, 0.0, calibration)


def case_name(case: dict[str, Any]) -> str:
    keys = ("norm_mode", "drive_mode", "homing_offset", "range_min", "range_max")
    return "-".join(str(case[key]) for key in keys)


@pytest.mark.parametrize("case", GOLDEN, ids=case_name)
def test_ticks_become_the_values_lerobot_computes(case: dict[str, Any]) -> None:
    units = units_of(case)
    ticks, values = zip(*case["normalize"], strict=True)
    assert [units.ticks_to_lerobot(tick) for tick in ticks] == list(values)
    assert units.ticks_to_lerobot(np.array(ticks)).tolist() == list(values)


@pytest.mark.parametrize("case", GOLDEN, ids=case_name)
def test_values_become_the_ticks_lerobot_computes(case: dict[str, Any]) -> None:
    units = units_of(case)
    values, ticks = zip(*case["unnormalize"], strict=True)
    assert [units.lerobot_to_ticks(value) for value in values] == list(ticks)
    assert units.lerobot_to_ticks(np.array(values)).tolist() == list(ticks)


@reproducible
@given(joints)
def test_every_tick_survives_the_way_through_radians(units: JointUnits) -> None:
    ticks = np.arange(4096)
    np.testing.assert_array_equal(units.rad_to_ticks(units.ticks_to_rad(ticks)), ticks)


@reproducible
@given(joints, st.integers(0, 4095))
def test_policy_state_equals_what_lerobot_reads_from_the_servo(units: JointUnits, tick: int) -> None:
    through_radians = units.rad_to_lerobot(units.ticks_to_rad(float(tick)))
    assert through_radians == pytest.approx(units.ticks_to_lerobot(tick), abs=1e-9)


@reproducible
@given(joints, st.floats(-100, 100))
def test_policy_action_ends_within_a_tick_of_what_lerobot_commands(units: JointUnits, value: float) -> None:
    through_radians = units.rad_to_ticks(units.lerobot_to_rad(value))
    assert abs(through_radians - units.lerobot_to_ticks(value)) <= 1  # we round, LeRobot truncates


@reproducible
@given(joints, st.floats(0, 100))
def test_lerobot_values_survive_the_way_through_radians(units: JointUnits, value: float) -> None:
    assert units.rad_to_lerobot(units.lerobot_to_rad(value)) == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("shoulder_lift", 90.0, 0.0),
        ("shoulder_lift", 190.0, -100.0),  # folded
        ("shoulder_lift", 0.0, 90.0),
        ("elbow_flex", 90.0, 0.0),
        ("elbow_flex", 180.0, 90.0),
        ("elbow_flex", 0.0, -90.0),
        ("shoulder_pan", 30.0, 30.0),
        ("wrist_flex", -40.0, -40.0),
        ("wrist_roll", 75.0, 75.0),
    ],
)
def test_degrees_of_the_old_calibration_are_those_of_lerobots_guide(
    name: str, old: float, new: float
) -> None:
    calibration = MotorCalibration(2, 0, 0, 900, 3100)
    then, now = (
        JointUnits(name, unit, 1, 0.3, calibration) for unit in ("degrees_old_calibration", "degrees")
    )
    assert then.lerobot_to_rad(old) == pytest.approx(now.lerobot_to_rad(new))
    assert then.rad_to_lerobot(now.lerobot_to_rad(new)) == pytest.approx(old)
    assert then.lerobot_to_ticks(old) == now.lerobot_to_ticks(new)
    assert then.ticks_to_lerobot(now.lerobot_to_ticks(new)) == pytest.approx(old, abs=0.09)


def test_middle_of_the_calibrated_range_is_the_middle_angle() -> None:
    units = JointUnits("elbow_flex", "degrees", -1, 0.7, MotorCalibration(3, 0, 0, 1000, 3000))
    assert units.ticks_to_rad(2000.0) == pytest.approx(0.7)
    assert units.ticks_to_rad(2000.0 + 1024) == pytest.approx(0.7 - math.pi / 2)
    assert units.rad_to_lerobot(0.7) == 0.0


def test_homing_offset_changes_nothing_because_the_servo_has_subtracted_it() -> None:
    plain, offset = (JointUnits("j", "degrees", 1, 0.0, MotorCalibration(1, 0, h, 0, 4000)) for h in (0, 500))
    assert plain.ticks_to_rad(1234.0) == offset.ticks_to_rad(1234.0)


def test_degrees_convert_without_a_calibration() -> None:
    units = JointUnits("shoulder_pan", "degrees", 1, 0.25)
    assert units.rad_to_lerobot(0.25 + math.pi) == pytest.approx(180 * 4096 / 4095)
    assert units.lerobot_to_rad(units.rad_to_lerobot(np.array([0.1, -0.4]))) == pytest.approx([0.1, -0.4])


@pytest.mark.parametrize("unit", ["range_m100_100", "range_0_100"])
def test_range_units_without_a_calibration_are_refused(unit: Unit) -> None:
    units = JointUnits("gripper", unit, 1, 0.0)
    with pytest.raises(CalibrationError, match="'gripper'.*no calibration"):
        units.rad_to_lerobot(0.1)
    with pytest.raises(CalibrationError, match="'gripper'.*no calibration"):
        units.lerobot_to_rad(0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, np.array([0.0, math.nan])])
def test_ticks_of_a_position_that_is_not_finite_are_refused(bad: Any) -> None:
    units = JointUnits("wrist_roll", "degrees", 1, 0.0, MotorCalibration(5, 0, 0, 0, 4095))
    with pytest.raises(ValueError, match="'wrist_roll'.*must be finite"):
        units.rad_to_ticks(bad)
    with pytest.raises(ValueError, match="'wrist_roll'.*must be finite"):
        units.lerobot_to_ticks(bad)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("radians", 1, 0.0), "'radians'"),
        (("degrees", 0, 0.0), "1 or -1"),
        (("degrees", 1, math.nan), "finite"),
    ],
)
def test_joint_that_makes_no_sense_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JointUnits("joint", *arguments)


def test_calibration_file_survives_saving_and_loading(tmp_path: Path) -> None:
    calibration = load_calibration(EMULATED)
    save_calibration(tmp_path / "copy.json", calibration)
    assert load_calibration(tmp_path / "copy.json") == calibration
    assert json.loads((tmp_path / "copy.json").read_text()) == json.loads(EMULATED.read_text())


def test_missing_joint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"shoulder_pan": ENTRY}))
    with pytest.raises(CalibrationError, match="no joint gripper; it has shoulder_pan"):
        load_calibration(path, ("shoulder_pan", "gripper"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"range_min": 3300}, "range_min 3300 must be below range_max 3300"),
        ({"range_max": 4096}, r"range_max must be 0 \.\. 4095, got 4096"),
        ({"range_min": -1}, r"range_min must be 0 \.\. 4095, got -1"),
        ({"homing_offset": 2048}, r"homing_offset must be -2047 \.\. 2047, got 2048"),
        ({"drive_mode": 2}, "drive_mode must be 0"),
        ({"id": 254}, r"id must be 0 \.\. 253"),
        ({"range_max": 3300.0}, "range_max must be a whole number, got 3300.0"),
        ({"drive_mode": True}, "drive_mode must be a whole number, got True"),
        ({"id": "1"}, "id must be a whole number, got '1'"),
    ],
)
def test_wrong_value_is_named_with_its_joint(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"elbow_flex": {**ENTRY, **change}}))
    with pytest.raises(CalibrationError, match=f"'elbow_flex'.*{message}"):
        load_calibration(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{not json", "not valid JSON"),
        ("[]", "must map joint names"),
        ("{}", "must map joint names"),
        ('{"gripper": 3}', "'gripper': expected a mapping"),
        ('{"gripper": {"id": 6}}', "'drive_mode' is missing; it has id"),
        (json.dumps({"gripper": ENTRY, "elbow_flex": ENTRY}), "gripper, elbow_flex share a servo id"),
    ],
)
def test_file_that_is_no_calibration_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=message):
        load_calibration(path)


def test_missing_file_says_where_lerobot_keeps_them(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"absent\.json.*No such file.*huggingface"):
        load_calibration(tmp_path / "absent.json")
    with pytest.raises(CalibrationError, match="cannot be written"):
        save_calibration(tmp_path / "absent" / "c.json", {})
