# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Unknown keys of a params_file are reported with the nearest name; the package's own files have none."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from smolvla_ros.node_configs import NODE_CONFIGS
from smolvla_ros.suite import programs
from smolvla_ros.suite.options import SuiteError, SuiteOptions
from smolvla_ros.suite.parameter_files import unknown_parameters

from ..package_files import ROOT

SPECS = programs.suite_nodes(SuiteOptions(sim=True, policy="scripted", namespace="left", record=True))


def warnings(folder: Path, text: str) -> list[str]:
    """The lines about a file with this text, without its name."""
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
        ("/left/exekutor", "fusion: smooth", ["is not a node; did you mean 'executor'?"]),
        ("/left/teleop", "anything: 1", []),
        ("/somebody/elses", "anything: 1", []),
        ("/left/arm", "qos_overrides: {/x: {publisher: {depth: 1}}}", []),
    ],
)
def test_unknown_keys_and_sections_are_reported(
    section: str, parameters: str, said: list[str], tmp_path: Path
) -> None:
    lines = warnings(tmp_path, f"{section}: {{ros__parameters: {{{parameters}}}}}")
    assert [line.split("' ", 1)[1] for line in lines] == said


def test_namespaces_may_be_nested(tmp_path: Path) -> None:
    [line] = warnings(tmp_path, "left: {arm: {ros__parameters: {tork: true}}}")
    assert line == "'/left/arm' has no parameter 'tork'; it is ignored; did you mean 'torque'?"


@pytest.mark.parametrize("node", NODE_CONFIGS)
def test_a_parameter_file_of_the_package_holds_known_keys_with_their_defaults(node: str) -> None:
    defaults = {entry.name: entry.default for entry in fields(NODE_CONFIGS[node])}
    listed = parameters_in(node)
    assert listed == {key: defaults.get(key, "not a parameter") for key in listed}
    NODE_CONFIGS[node](**listed)  # raises SettingError for a value outside its range or choices


def test_the_simulation_file_holds_other_valid_values_of_executor_and_console() -> None:
    left = parameters_in("simulation")
    for name in ("executor", "console"):
        own = {entry.name: left.pop(entry.name) for entry in fields(NODE_CONFIGS[name]) if entry.name in left}
        assert NODE_CONFIGS[name](**own) != NODE_CONFIGS[name]()
    assert not left


def parameters_in(name: str) -> dict[str, Any]:
    """The parameters of config/NAME.yaml, arrays as tuples."""
    content = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
    assert list(content) == ["/**"] and list(content["/**"]) == ["ros__parameters"]
    values = content["/**"]["ros__parameters"]
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def test_every_parameter_file_is_one_of_these() -> None:
    others = {"so100", "so101", "map_example", "protocol_example"}
    assert {file.stem for file in (ROOT / "config").glob("*.yaml")} == {*NODE_CONFIGS, "simulation", *others}


def test_an_error_names_a_file_that_is_not_yaml(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="mine.yaml"):
        warnings(tmp_path, "a: [")
