# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy on a bag: its chunks compared with the commands recorded for the same times."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="a bag is read with the policy node's code")

from smolvla_ros.dataset.replay import RecordedCommands, ReplayedChunk, comparison_lines
from smolvla_ros.tools.replay_policy import main

from ..package_files import ROBOT
from .test_check_dataset import record


def test_a_command_holds_until_the_next_one_and_is_nan_outside_the_recording() -> None:
    commands = RecordedCommands(np.array([100, 200, 300]), np.array([[1.0], [2.0], [3.0]]))
    found = commands.at(np.array([99, 100, 199, 200, 300, 301]))[:, 0]
    np.testing.assert_array_equal(found, [np.nan, 1.0, 1.0, 2.0, 3.0, np.nan])


def test_errors_are_listed_for_each_joint() -> None:
    recorded = np.zeros((4, 6))
    recorded[3] = np.nan  # the recording ends before the chunk
    predicted = np.zeros((4, 6))
    predicted[:, 1] = [0.0, 0.1, 0.2, 9.9]
    lines = comparison_lines([ReplayedChunk(np.arange(4), predicted, recorded, 0.25)], ROBOT)
    assert re.search(r"shoulder_pan +0.0000", lines[1])
    assert re.search(r"shoulder_lift +0.1000 +0.1900 +0.0000", lines[2])
    assert lines[-1] == "1 chunks, 3 actions compared; inference p50 0.250 s, p95 0.250 s"


def test_a_policy_is_replayed_from_a_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag, plot = record(tmp_path / "bag"), tmp_path / "plot.png"
    assert main([str(bag), "scripted", "--cameras", "top", "--every", "0.5", "--plot", str(plot)]) == 0
    shown = capsys.readouterr().out
    chunks = int(re.search(r"(\d+) chunks", shown)[1])  # type: ignore[index]
    assert 6 <= chunks <= 8 and all(name in shown for name in (*ROBOT.joint_names, "all"))
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_bag_of_another_robot_is_replayed_by_its_mapping(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, mapping = record(tmp_path / "bag", commands="/leader/states"), tmp_path / "map.yaml"
    joints = {name: {"source": name, "offset": 0.1} for name in ROBOT.joint_names}
    described = {
        "cameras": {"wrist": "/top/image_raw/compressed"},
        "state": {"topic": "/joint_states", "joints": joints},
        "action": {"topic": "/leader/states", "joints": joints},
        "task": "/task",
    }
    mapping.write_text(yaml.safe_dump(described))
    assert main([str(bag), "scripted", "--cameras", "wrist", "--map", str(mapping)]) == 0
    assert re.search(r"[678] chunks, \d+ actions", capsys.readouterr().out)


def test_topics_that_a_bag_lacks_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = record(tmp_path / "bag")
    assert main([str(bag), "scripted", "--cameras", "wrist"]) == 1
    assert "has no wrist/image_raw/compressed" in capsys.readouterr().err
    assert main([str(bag), "scripted", "--action", "leader/joint_states"]) == 1
    assert "has no leader/joint_states" in capsys.readouterr().err
