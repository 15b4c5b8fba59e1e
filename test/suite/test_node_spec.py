# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command lines and parameters of programs, and the reaction when one exits."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from smolvla_ros.suite import programs
from smolvla_ros.suite.node_spec import NodeSpec, command_line, node_arguments, parameter_text
from smolvla_ros.suite.options import SuiteOptions, argument_warnings, launch_arguments
from smolvla_ros.suite.supervisor import MAX_QUICK_EXITS, Reaction, Supervisor, exit_message

from ..package_files import ROOT

EVERYTHING = SuiteOptions(
    sim=True,
    checkpoint="somewhere",
    cameras="top,wrist,side",
    policy_cameras="top,wrist",
    record=True,
    rviz=True,
    namespace="left",
    log_level="debug",
    use_sim_time=True,
    params_file=str(ROOT / "config" / "arm.yaml"),
    leader_port="/dev/leader",
)
SPECS = {spec.label: spec for spec in (*programs.teleop_nodes(EVERYTHING), *programs.suite_nodes(EVERYTHING))}
NEEDED = {
    "left_simulated_world", "left_arm", "left_leader_arm", "left_executor", "left_policy", "left_teleop",
    "left_top_camera", "left_wrist_camera",
}  # fmt: skip
OPERATORS = {"left_leader_arm", "left_teleop"}  # a policy goes on without them


def test_only_programs_that_move_the_arm_are_needed() -> None:
    specs = {spec.label: spec for spec in programs.suite_nodes(EVERYTHING)}
    needed = (NEEDED - OPERATORS) & set(specs)
    assert {label for label, spec in specs.items() if spec.needed} == needed
    assert set(specs) - needed == OPERATORS | {
        "left_side_camera", "left_recorder", "left_console", "left_rviz", "left_robot_state_publisher",
    }  # fmt: skip
    assert all(spec.restarts for label, spec in specs.items() if label not in needed)
    assert {spec.label for spec in programs.teleop_nodes(EVERYTHING) if spec.needed} >= OPERATORS
    assert {label for label, spec in SPECS.items() if spec.holds_arm} == {"left_arm", "left_leader_arm"}


def test_teleoperation_needs_no_camera() -> None:
    teleop = {spec.label: spec for spec in programs.teleop_nodes(EVERYTHING)}
    assert {label for label, spec in teleop.items() if spec.needed} == {
        "left_simulated_world", "left_arm", "left_leader_arm", "left_teleop",
    }  # fmt: skip


KILLED, REFUSED, ASKED = -9, 1, 0


@pytest.mark.parametrize(
    ("label", "exit_code", "reaction"),
    [
        ("left_arm", KILLED, Reaction.STOP),
        ("left_executor", ASKED, Reaction.STOP),
        ("left_simulated_world", KILLED, Reaction.STOP),
        ("left_policy", KILLED, Reaction.RESTART),
        ("left_policy", REFUSED, Reaction.STOP),
        ("left_top_camera", KILLED, Reaction.RESTART),
        ("left_top_camera", REFUSED, Reaction.STOP),
        ("left_side_camera", KILLED, Reaction.RESTART),
        ("left_side_camera", REFUSED, Reaction.CONTINUE),
        ("left_recorder", KILLED, Reaction.RESTART),
        ("left_recorder", REFUSED, Reaction.CONTINUE),
        ("left_robot_state_publisher", KILLED, Reaction.RESTART),
        ("left_rviz", ASKED, Reaction.CONTINUE),
    ],
)
def test_the_reaction_to_an_exit_depends_on_the_program(
    label: str, exit_code: int, reaction: Reaction
) -> None:
    assert Supervisor().on_exit(SPECS[label], exit_code, ran_s=60.0) is reaction
    assert label in exit_message(SPECS[label], exit_code, reaction)


@pytest.mark.parametrize(
    ("label", "at_last"), [("left_recorder", Reaction.CONTINUE), ("left_policy", Reaction.STOP)]
)
def test_a_program_that_exits_at_once_is_not_restarted_forever(label: str, at_last: Reaction) -> None:
    supervisor = Supervisor()
    spec = SPECS[label]
    reactions = [supervisor.on_exit(spec, KILLED, ran_s=0.5) for _ in range(MAX_QUICK_EXITS + 1)]
    assert reactions == [Reaction.RESTART] * MAX_QUICK_EXITS + [at_last]
    # each program is counted separately
    assert supervisor.on_exit(SPECS["left_side_camera"], KILLED, ran_s=0.5) is Reaction.RESTART


def test_a_program_that_has_run_for_a_while_is_always_restarted() -> None:
    supervisor = Supervisor()
    for _ in range(10 * MAX_QUICK_EXITS):
        assert supervisor.on_exit(SPECS["left_recorder"], KILLED, ran_s=60.0) is Reaction.RESTART


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_command_line_of_a_process_agrees_with_launch(spec: NodeSpec, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    line = command_line(spec, ["program"], own)
    given = node_arguments(spec)
    ours = line.index("--ros-args") if spec.is_ros else len(line)
    assert line[:ours] == ["program", *given["arguments"]]
    if not spec.is_ros:
        return
    after = line[ours + 1 :]
    pairs = [(after[i], after[i + 1]) for i in range(0, len(after), 2)]
    assert [value for option, value in pairs if option == "-r"] == [
        f"__node:={given['name']}",
        f"__ns:={given['namespace']}",
        *(f"{source}:={target}" for source, target in given["remappings"]),
    ]
    files = [value for option, value in pairs if option == "--params-file"]
    assert files == [str(own if isinstance(entry, dict) else entry) for entry in given["parameters"]]
    own_options = ("--enclave", "--log-level")
    assert [word for pair in pairs if pair[0] in own_options for word in pair] == given["ros_arguments"]
    assert given["ros_arguments"][1] == spec.full_name
    assert len(pairs) == 2 + len(given["remappings"]) + len(files) + len(given["ros_arguments"]) // 2
    section = yaml.safe_load(parameter_text(spec))[spec.full_name]["ros__parameters"]
    assert [section] * bool(section) == [entry for entry in given["parameters"] if isinstance(entry, dict)]


LAUNCH_FILES: dict[str, Callable[[SuiteOptions], Iterable[NodeSpec]]] = {
    "so100": programs.suite_nodes,
    "robot": programs.robot_nodes,
    "policy": programs.policy_nodes,
    "policy_only": programs.policy_alone,
    "record": programs.recorder_nodes,
    "simulation": programs.simulation_programs,
}


def declared(file: str) -> set[str]:
    """The arguments that a launch file declares, read without launch."""
    tree = ast.parse((ROOT / "launch" / f"{file}.launch.py").read_text())
    [names] = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and getattr(node.targets[0], "id", "") == "ARGUMENTS"
    ]
    return set(str(names).split())


@pytest.mark.parametrize("file", LAUNCH_FILES)
def test_a_launch_file_declares_all_options_that_its_programs_use(file: str) -> None:
    read: set[str] = set()

    class Watched(SuiteOptions):
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    values = {entry.name: getattr(EVERYTHING, entry.name) for entry in dataclasses.fields(SuiteOptions)}
    watched = Watched(**values)
    read.clear()
    list(LAUNCH_FILES[file](watched))
    options = {entry.name for entry in dataclasses.fields(SuiteOptions)}
    by_the_file = (
        {"robots", "sim"} if file == "simulation" else {"robots"}
    )  # fleet.launch.py alone reads `robots`
    assert (read & options) - by_the_file <= declared(file)


def test_launch_arguments_are_the_options_with_their_descriptions() -> None:
    arguments = {argument["name"]: argument for argument in launch_arguments()}
    assert set(arguments) == {entry.name for entry in dataclasses.fields(SuiteOptions)}
    assert all(len(argument["description"]) > 10 for argument in arguments.values())
    assert arguments["sim"]["default_value"] == "false" and arguments["sim"]["choices"] == ["true", "false"]
    assert "armed" in arguments["mode"]["choices"] and arguments["port"]["choices"] is None


def test_a_misspelt_launch_argument_is_reported_with_the_nearest_name() -> None:
    words = ["chekpoint:=x", "port:=/dev/a", "zzz:=1", "sigterm_timeout:=9", "--noninteractive"]
    assert argument_warnings(words, declared("so100"), "so100.launch.py") == [
        "so100.launch.py has no argument 'chekpoint'; it is ignored; did you mean 'checkpoint'?",
        "so100.launch.py has no argument 'zzz'; it is ignored",
    ]
