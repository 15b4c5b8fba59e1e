# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's screen and its line for a log."""

from __future__ import annotations

import re

import pytest

from smolvla_ros.demo.observed_run import ObservedRun
from smolvla_ros.demo.status import DemoStatus, demo_status, status_line, status_screen
from smolvla_ros.robot import RobotSpec

SECOND = 1_000_000_000
WIDTH = 80


@pytest.fixture
def status(run: ObservedRun, robot: RobotSpec) -> DemoStatus:
    return demo_status(run, robot, SECOND, 3 * SECOND)


def test_the_status_is_computed_from_the_run(status: DemoStatus) -> None:
    assert status.elapsed_s == 2.0
    assert status.rates_hz["joint states"] == pytest.approx(50.0)
    pan = status.joints[0]
    assert pan.name == "shoulder_pan"
    assert (pan.measured_deg, pan.commanded_deg) == pytest.approx((11.459, 11.459), abs=0.01)


def test_the_screen_overwrites_the_last_one_completely(status: DemoStatus) -> None:
    text = status_screen(status, "demo", 30.0, "", WIDTH)
    assert text.startswith("\033[H") and text.endswith("\033[J")
    lines = text.split("\n")[:-1]
    assert all(row.endswith("\033[K") for row in lines)
    assert len(lines) < 24  # with the line of the cursor, all of a terminal
    for words in (
        "2.0 of 30 s",
        "ARMED",
        "wave",
        "1.00 s, 40 actions",
        "9 accepted",
        "newest observed 0.250 s ago",
    ):
        assert words in text
    for words in ("expired 2, not_finite 1", "7 control periods", "p50 0.200 s", "joint states 50.0"):
        assert words in text


def test_the_screen_shows_where_each_joint_is_between_its_limits(status: DemoStatus) -> None:
    text = status_screen(status, "demo", 0.0, "", WIDTH)
    rows = [row for row in text.split("\n") if row.startswith(("shoulder_pan", "gripper"))]
    for row in rows:
        bar = re.search(r"\[(\S*)\]", row)
        assert bar and bar.group(1).count("o") == 1
    assert rows[0].index("o", 30) > rows[0].index("[") + 10  # shoulder_pan just right of its middle


def test_a_line_for_a_log_has_no_control_characters(status: DemoStatus) -> None:
    text = status_line(status)
    assert "\033" not in text and "\n" not in text
    for figure in (
        "2.0 s  armed", "joints 11.5", "queue 1.00 s 40 actions", "chunk age 0.25 s", "inference 0.20 s",
        "starved 7", "rejected 3", "commands 30",
    ):  # fmt: skip
        assert figure in text


def test_unknown_values_are_dashes(robot: RobotSpec) -> None:
    nothing = demo_status(ObservedRun(robot.joint_names, {"top": 30.0}), robot, 0, SECOND)
    assert "unknown" in status_line(nothing)
    for text in (status_line(nothing), status_screen(nothing, "demo", 0.0, "", WIDTH)):
        assert "nan" not in text and "-" in text


def test_a_reason_to_hold_is_shown(run: ObservedRun, robot: RobotSpec) -> None:
    run.state.state, run.state.reason = 3, "joint states are 0.4 s old"
    holding = demo_status(run, robot, SECOND, 3 * SECOND)
    assert "holding (joint states are 0.4 s old)" in status_line(holding)
    assert "HOLDING  joint states are 0.4 s old" in status_screen(holding, "demo", 0.0, "", WIDTH)
