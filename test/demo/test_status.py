# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows while it runs."""

from __future__ import annotations

import re

import pytest

from smolvla_ros.demo.recording import Recording
from smolvla_ros.demo.status import Status, line, screen, status
from smolvla_ros.robot import RobotSpec

SECOND = 1_000_000_000


@pytest.fixture
def now(recording: Recording, robot: RobotSpec) -> Status:
    return status(recording, robot, SECOND, 3 * SECOND)


def test_the_present_moment_is_read_from_the_recording(now: Status) -> None:
    assert (now.elapsed_s, now.state, now.task) == (2.0, "armed", "wave")
    assert (now.queue_s, now.queue_actions, now.chunk_age_s) == (1.0, 40, 0.25)
    assert (now.chunks, now.rejected, now.starved_periods) == (9, 3, 7)
    assert now.rates_hz["joint states"] == pytest.approx(50.0)
    assert now.joints_deg[0][:3] == (
        "shoulder_pan",
        pytest.approx(11.459, abs=0.01),
        pytest.approx(11.459, abs=0.01),
    )


def test_the_screen_overwrites_the_last_one_and_leaves_nothing_of_it(now: Status) -> None:
    text = screen(now, "demo", 30.0)
    assert text.startswith("\033[H") and text.endswith("\033[J")
    lines = text.split("\n")[:-1]
    assert all(row.endswith("\033[K") for row in lines)
    assert len(lines) <= 24


def test_the_screen_shows_where_each_joint_is_between_its_limits(now: Status) -> None:
    rows = [
        row for row in screen(now, "demo", 0.0).split("\n") if row.startswith(("shoulder_pan", "gripper"))
    ]
    for row in rows:
        bar = re.search(r"\[(.*)\]", row)
        assert bar and bar.group(1).count("o") == 1
    assert rows[0].index("o", 30) > rows[0].index("[") + 10  # shoulder_pan just right of its middle


def test_a_line_for_a_log_has_no_control_characters(now: Status) -> None:
    text = line(now)
    assert "\033" not in text and "\n" not in text
    for figure in (
        "armed",
        "queue 1.00 s 40 actions",
        "chunk age 0.25 s",
        "starved 7",
        "rejected 3",
        "commands 30",
    ):
        assert figure in text


def test_before_anything_came_in_there_are_dashes(robot: RobotSpec) -> None:
    nothing = status(Recording(robot.joint_names, {"top": 30.0}), robot, 0, SECOND)
    assert nothing.state == "unknown"
    for text in (line(nothing), screen(nothing, "demo", 0.0)):
        assert "nan" not in text and "-" in text


def test_a_reason_to_hold_is_shown(now: Status, recording: Recording, robot: RobotSpec) -> None:
    recording.state.state, recording.state.reason = 3, "joint states are 0.4 s old"
    held = status(recording, robot, SECOND, 3 * SECOND)
    assert "holding (joint states are 0.4 s old)" in line(held)
    assert "HOLDING  joint states are 0.4 s old" in screen(held, "demo", 0.0)
