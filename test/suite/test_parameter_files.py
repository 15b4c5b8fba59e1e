# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keys of a params_file that no node takes are said, with the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="the parameters are those of nodes, which need ROS 2")

from smolvla_ros.suite import programs
from smolvla_ros.suite.options import SuiteError, SuiteOptions
from smolvla_ros.suite.parameter_files import unknown_parameters

ROOT = Path(__file__).parents[2]
SPECS = programs.suite_nodes(SuiteOptions(sim=True, policy="scripted", namespace="left", record=True))


def warnings(folder: Path, text: str) -> list[str]:
    """What is said of a file, without its name."""
    file = folder / "mine.yaml"
    file.write_text(text)
    return [line.removeprefix(f"params_file '{file}': ") for line in unknown_parameters(str(file), SPECS)]


@pytest.mark.parametrize(
    ("section", "parameters", "said"),
    [
        (
            "left/executor",
            "fuson: smooth",
            ["has no parameter 'fuson'; it is ignored; did you mean 'fusion'?"],
        ),
        ("/**/arm", "max_step_rad: 0.1, xyz: 1", ["has no parameter 'xyz'; it is ignored"]),
        ("/left/*/camera", "sorce: usb", ["has no parameter 'sorce'; it is ignored; did you mean 'source'?"]),
        ("/**", "fusion: smooth, source: usb, min_free_mb: 9, use_sim_time: false", []),
        ("/left/exekutor", "fusion: smooth", ["is no node; did you mean 'executor'?"]),
        ("/left/teleop", "anything: 1", []),
        ("/somebody/elses", "anything: 1", []),
        ("/left/arm", "qos_overrides: {/x: {publisher: {depth: 1}}}", []),
    ],
)
def test_what_nobody_takes_is_said(section: str, parameters: str, said: list[str], tmp_path: Path) -> None:
    lines = warnings(tmp_path, f"{section}: {{ros__parameters: {{{parameters}}}}}")
    assert [line.split("' ", 1)[1] for line in lines] == said


def test_namespaces_may_be_nested(tmp_path: Path) -> None:
    [line] = warnings(tmp_path, "left: {arm: {ros__parameters: {tork: true}}}")
    assert line == "'/left/arm' has no parameter 'tork'; it is ignored; did you mean 'torque'?"


def test_the_packages_own_files_have_no_unknown_key() -> None:
    for name in ("arm", "camera", "executor", "policy", "recorder", "simulation"):
        assert unknown_parameters(str(ROOT / "config" / f"{name}.yaml"), SPECS) == []


def test_a_file_that_is_no_yaml_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="mine.yaml"):
        warnings(tmp_path, "a: [")
