# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The file of robots: each has its namespace, and its options win over the shared ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from smolvla_ros.suite import programs
from smolvla_ros.suite.fleet import fleet_options
from smolvla_ros.suite.options import SuiteError


def fleet_file(folder: Path, text: str) -> str:
    file = folder / "robots.yaml"
    file.write_text(text)
    return str(file)


def test_robots_share_options_and_keep_apart(tmp_path: Path) -> None:
    file = fleet_file(tmp_path, "left: {task: stack the cubes, seed: 3, port: }\nright:\n")
    shared = {"sim": "true", "policy": "remote", "server": "127.0.0.1:50051", "task": "wipe"}
    left, right = fleet_options(file, shared)
    assert (left.namespace, left.task, left.seed) == ("left", "stack the cubes", 3)
    assert left.port == ""  # not "None"
    assert (right.namespace, right.task, right.server) == ("right", "wipe", "127.0.0.1:50051")
    nodes = [programs.suite_nodes(options) for options in (left, right)]
    names = [{spec.full_name for spec in of_one if spec.is_ros} for of_one in nodes]
    assert len(names[0]) == len(names[1]) > 5 and not names[0] & names[1]
    ports = [spec.parameters["port"] for of_one in nodes for spec in of_one if spec.holds_arm]
    assert len(set(ports)) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no robots"),
        ("[left]", "holds no robots"),
        ("left: [", "cannot be read"),
        ("Left Arm: {}", "robot 'Left Arm': a name has small letters"),
        ("left: 7", "robot 'left': expected options"),
        ("left: {prot: /dev/ttyACM0}", "robot 'left': there is no option 'prot'.*port"),
        ("left: {namespace: right}", "no option 'namespace'"),
        ("left: {seed: some}", "robot 'left': seed: 'some'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SuiteError, match=problem):
        fleet_options(fleet_file(tmp_path, text), {})
