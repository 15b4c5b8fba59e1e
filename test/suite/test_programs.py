# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of the suite, and the precedence of their parameters."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from smolvla_ros.share import PACKAGE
from smolvla_ros.simulation.layout import CUBE_COLOURS
from smolvla_ros.simulation.tasks import pick_place
from smolvla_ros.suite import programs
from smolvla_ros.suite.node_spec import NodeSpec, command_line, main_module, parameter_text
from smolvla_ros.suite.options import (
    CameraOption,
    SuiteError,
    SuiteOptions,
    parse_cameras,
)

from ..conftest import PROGRAMS
from ..package_files import CALIBRATION_FILE, ROOT

SIMULATION = SuiteOptions(sim=True, checkpoint="somewhere")
HARDWARE = SuiteOptions(
    port="/dev/arm", calibration=CALIBRATION_FILE, cameras="top=/dev/video0,wrist=2", checkpoint="a/b"
)


def by_label(options: SuiteOptions) -> dict[str, NodeSpec]:
    return {spec.label: spec for spec in programs.suite_nodes(options)}


@pytest.mark.parametrize("options", [SIMULATION, HARDWARE], ids=["simulation", "hardware"])
def test_every_program_of_the_suite_is_one_of_the_package(options: SuiteOptions) -> None:
    assert {spec.executable for spec in programs.suite_nodes(options) if spec.package == PACKAGE} <= set(
        PROGRAMS
    )


def test_simulation_adds_a_world_and_changes_nothing_else() -> None:
    simulated, real = by_label(SIMULATION), by_label(HARDWARE)
    assert set(simulated) - set(real) == {"simulated_world", "console"}
    for label, spec in real.items():
        same = ("executable", "name", "namespace", "remaps", "package", "is_ros")
        assert [getattr(spec, name) for name in same] == [getattr(simulated[label], name) for name in same]


def test_a_protocol_brings_the_console_along() -> None:
    protocol = str(ROOT / "config" / "protocol_example.yaml")
    console = by_label(dataclasses.replace(HARDWARE, protocol=protocol, trials_log="mine.jsonl"))["console"]
    assert (console.parameters["protocol"], console.parameters["trials_log"]) == (protocol, "mine.jsonl")
    with pytest.raises(SuiteError, match=r"protocol: there is no file 'absent.yaml'"):
        by_label(dataclasses.replace(HARDWARE, protocol="absent.yaml"))


def test_the_arm_opens_the_port_that_the_world_links() -> None:
    nodes = by_label(dataclasses.replace(SIMULATION, seed=3, appearance=0.5, camera_rate_hz=15.0))
    assert nodes["top_camera"].parameters["rate_hz"] == 15.0
    world = nodes["simulated_world"].parameters
    assert world["port"] == nodes["arm"].parameters["port"]
    for parameters in (world, nodes["top_camera"].parameters):
        assert (parameters["seed"], parameters["appearance"]) == (3, 0.5)
    calibrations = {nodes[name].parameters["calibration"] for name in ("simulated_world", "arm", "policy")}
    assert len(calibrations) == 1
    assert nodes["arm"].after == "simulated_world" and nodes["simulated_world"].needed


def test_teleoperation_adds_a_leader_in_a_namespace_of_its_own() -> None:
    leader = str(ROOT / "config" / "so100.yaml")  # any file that exists
    options = dataclasses.replace(HARDWARE, leader_port="/dev/leader", leader_calibration=leader)
    nodes = {spec.label: spec for spec in programs.teleop_nodes(options)}
    assert set(nodes) == {spec.label for spec in programs.robot_nodes(HARDWARE)} | {"leader_arm", "teleop"}
    assert {"port": "/dev/leader", "calibration": leader, "role": "leader"}.items() <= nodes[
        "leader_arm"
    ].parameters.items()
    assert nodes["leader_arm"].full_name == "/leader/arm" and "role" not in nodes["arm"].parameters
    assert (nodes["teleop"].parameters["calibration"], nodes["teleop"].parameters["leader_calibration"]) == (
        CALIBRATION_FILE,
        leader,
    )
    for missing in ("leader_port", "leader_calibration"):
        with pytest.raises(SuiteError, match=f"{missing} is not given"):
            programs.teleop_nodes(dataclasses.replace(options, **{missing: ""}))


def test_a_leader_arm_can_stand_beside_a_policy_which_goes_on_without_it() -> None:
    options = dataclasses.replace(HARDWARE, leader_port="/dev/leader", leader_calibration=CALIBRATION_FILE)
    nodes = by_label(options)
    assert set(nodes) - set(by_label(HARDWARE)) == {"leader_arm", "teleop"}
    assert not nodes["leader_arm"].needed and not nodes["teleop"].needed and nodes["arm"].needed


def test_a_simulated_arm_follows_a_leader_arm_or_who_publishes_its_joint_states() -> None:
    nodes = {spec.label: spec for spec in programs.teleop_nodes(SIMULATION)}
    assert "leader_arm" not in nodes and {"simulated_world", "arm", "teleop"} <= set(nodes)
    assert (
        nodes["teleop"].parameters["leader_calibration"] == nodes["simulated_world"].parameters["calibration"]
    )
    leader = dataclasses.replace(SIMULATION, leader_port="/dev/leader", leader_calibration=CALIBRATION_FILE)
    nodes = {spec.label: spec for spec in programs.teleop_nodes(leader)}
    assert nodes["leader_arm"].parameters["port"] == "/dev/leader"
    assert nodes["arm"].after == "simulated_world" and not nodes["leader_arm"].after


def test_rviz_is_started_on_request_with_a_config_of_the_urdfs_frames() -> None:
    assert "rviz" not in by_label(SIMULATION)
    rviz = by_label(dataclasses.replace(SIMULATION, rviz=True))["rviz"]
    assert rviz.package == "rviz2"
    config = yaml.safe_load(Path(rviz.arguments[1]).read_text())["Visualization Manager"]
    displays = {display["Class"].split("/")[1]: display for display in config["Displays"]}
    assert displays["RobotModel"]["Description Topic"]["Value"] == "robot_description"
    urdf = programs.load_robot(SIMULATION).urdf_path.read_text()
    assert f'<link name="{config["Global Options"]["Fixed Frame"]}"' in urdf


def test_suites_of_other_namespaces_and_domains_have_ports_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    ports = {programs.emulated_port(SuiteOptions(sim=True, namespace=name)) for name in ("", "left", "right")}
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    ports.add(programs.emulated_port(SuiteOptions(sim=True)))
    assert len(ports) == 4


def test_cameras_have_namespaces_and_receive_the_joint_states_of_the_arm() -> None:
    nodes = by_label(dataclasses.replace(SIMULATION, namespace="left"))
    camera = nodes["left_top_camera"]
    assert camera.full_name == "/left/top/camera"
    assert dict(camera.remaps) == {name: f"/left/{name}" for name in ("joint_states", "scene/objects")}
    assert nodes["left_arm"].full_name == "/left/arm"
    assert camera.parameters["camera"] == "top" and camera.parameters["source"] == "rendered"


def test_the_policy_uses_the_started_cameras_unless_others_are_given() -> None:
    assert by_label(HARDWARE)["policy"].parameters["cameras"] == ["top", "wrist"]
    assert by_label(SIMULATION)["policy"].parameters["cameras"] == ["top", "wrist"]
    told = dataclasses.replace(HARDWARE, policy_cameras="wrist")
    assert by_label(told)["policy"].parameters["cameras"] == ["wrist"]
    nothing_known = dataclasses.replace(HARDWARE, cameras="")
    assert "cameras" not in by_label(nothing_known)["policy"].parameters


def test_without_a_policy_only_the_executor_is_started() -> None:
    assert [spec.name for spec in programs.policy_nodes(SuiteOptions(sim=True))] == ["executor"]
    assert [spec.name for spec in programs.policy_nodes(SuiteOptions(policy="scripted"))] == [
        "policy",
        "executor",
    ]


def test_the_policy_alone_is_the_same_as_in_the_suite() -> None:
    options = dataclasses.replace(SIMULATION, checkpoint="so100_tabletop")
    assert programs.policy_alone(options) == (by_label(options)["policy"],)


def test_options_that_are_not_given_set_no_parameter() -> None:
    executor = by_label(HARDWARE)["executor"]
    assert set(executor.parameters) == {"robot"}
    assert set(by_label(dataclasses.replace(HARDWARE, mode="shadow"))["executor"].parameters) == {
        "robot",
        "mode",
    }
    assert "use_sim_time" in by_label(dataclasses.replace(HARDWARE, use_sim_time=True))["arm"].parameters


def test_hardware_starts_disarmed_and_simulation_armed() -> None:
    assert mode(by_label(HARDWARE)["executor"]) == "disarmed"
    assert mode(by_label(SIMULATION)["executor"]) == "armed"


def mode(executor: NodeSpec) -> str:
    """The value in the parameter files, in their order."""
    values: dict[str, Any] = {}
    for file in executor.parameter_files:
        values |= yaml.safe_load(file.read_text())["/**"]["ros__parameters"]
    return str(values["mode"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("top=/dev/video0", (CameraOption("top", "usb", "/dev/video0"),)),
        ("top=/dev/v4l/by-id/usb-a=b", (CameraOption("top", "usb", "/dev/v4l/by-id/usb-a=b"),)),
        ("top=2", (CameraOption("top", "usb", "/dev/video2"),)),
        (" top = rendered , wrist", (CameraOption("top", "rendered"), CameraOption("wrist"))),
    ],
)
def test_cameras_are_parsed(text: str, expected: tuple[CameraOption, ...]) -> None:
    assert parse_cameras(text) == expected


def test_a_folder_and_a_video_file_are_distinguished(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    folder, video = parse_cameras(f"top={tmp_path},wrist={tmp_path}/a.mp4")
    assert (folder.source, folder.device) == ("folder", str(tmp_path))
    assert (video.source, video.device) == ("video", f"{tmp_path}/a.mp4")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("top=", ["'top='", "name=device"]),
        ("=/dev/video0", ["'=/dev/video0'", "name=device"]),
        ("top=/no/such/thing", ["top", "/no/such/thing", "rendered"]),
        ("top=1,top=2", ["top", "twice"]),
    ],
)
def test_an_error_names_a_camera_entry_that_is_not_valid(text: str, words: list[str]) -> None:
    with pytest.raises(SuiteError) as caught:
        parse_cameras(text)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cameras": "topp=rendered"}, ["cameras", "'topp'", "top, wrist, side", "did you mean 'top'"]),
        ({"policy_cameras": "left"}, ["policy_cameras", "'left'", "top, wrist, side"]),
        ({"port": ""}, ["port", "/dev/serial/by-id", "sim:=true"]),
        ({"calibration": ""}, ["calibration", "sim:=true"]),
        ({"calibration": "/no/such.json"}, ["calibration", "/no/such.json"]),
        ({"params_file": "/no/such.yaml"}, ["params_file", "/no/such.yaml"]),
        ({"robot": "/no/such.yaml"}, ["robot", "/no/such.yaml"]),
    ],
)
def test_invalid_options_are_refused_with_the_remedy(change: dict[str, str], words: list[str]) -> None:
    with pytest.raises(SuiteError) as caught:
        programs.suite_nodes(dataclasses.replace(HARDWARE, **change))
    assert all(word in str(caught.value) for word in words)


def test_a_checkpoint_brings_parameters_along_which_a_params_file_overrides(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**: {ros__parameters: {}}")
    chosen = dataclasses.replace(SIMULATION, policy="", checkpoint="so100_tabletop", params_file=str(mine))
    nodes = by_label(chosen)
    for label in ("policy", "executor", "console"):
        files = nodes[label].parameter_files
        assert files[-2:] == (ROOT / "checkpoints" / "so100_tabletop" / "node_parameters.yaml", mine)
        assert files[0].name == f"{label}.yaml"
    assert nodes["arm"].parameter_files[-2].name == "arm.yaml"


@pytest.mark.parametrize(
    ("section", "parameters", "policies"),
    [
        ("/**", {"jpeg_quality": 50, "noise_scale": 0.0}, 0),
        ("/left/policy", {"checkpoint": "a/b"}, 0),
        ("/**/policy", {"checkpoint": "a/b"}, 1),
        ("policy", {"policy": "remote", "server": "127.0.0.1:50051"}, 1),
        ("/**", {"policy": "scripted"}, 1),
    ],
)
def test_a_params_file_brings_a_policy_along_only_if_it_names_one(
    section: str, parameters: dict[str, Any], policies: int, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({section: {"ros__parameters": parameters}}))
    nodes = by_label(dataclasses.replace(HARDWARE, checkpoint="", params_file=str(mine)))
    assert list(nodes).count("policy") == policies and "executor" in nodes


def test_the_console_of_a_simulation_offers_a_wording_for_each_cube() -> None:
    [file] = [file for file in by_label(SIMULATION)["console"].parameter_files if file.stem == "simulation"]
    offered = yaml.safe_load(file.read_text())["/**"]["ros__parameters"]["suggestions"]
    assert offered == [pick_place.WORDINGS[0].format(colour) for colour in CUBE_COLOURS]
    assert "simulation" not in [
        file.stem
        for file in by_label(dataclasses.replace(HARDWARE, console="true"))["console"].parameter_files
    ]


def test_options_are_read_from_text() -> None:
    options = SuiteOptions.from_text(
        {"sim": "True", "seed": "3", "calibration": "~/a.json", "mode": "shadow", "stranger": "1"}
    )
    assert (options.sim, options.seed, options.mode, options.use_sim_time) == (True, 3, "shadow", False)
    assert options.calibration == str(Path.home() / "a.json")


def test_a_robot_of_the_package_can_be_given_by_its_name() -> None:
    for name, robot in (("", "so100"), ("so100", "so100"), ("so101", "so101")):
        assert programs.load_robot(SuiteOptions(robot=name)).name == robot
    with pytest.raises(SuiteError, match="so102.yaml"):
        programs.load_robot(SuiteOptions(robot="so102"))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"sim": "yes"}, "sim"),
        ({"seed": "-1"}, "seed"),
        ({"appearance": "much"}, "appearance"),
        ({"appearance": "2"}, "appearance"),
        ({"mode": "go"}, "mode"),
        ({"dtype": "int4"}, "dtype"),
    ],
)
def test_invalid_values_are_refused(arguments: dict[str, str], word: str) -> None:
    with pytest.raises(SuiteError, match=word):
        SuiteOptions.from_text(arguments)


def test_the_recorder_takes_its_folder_and_task_from_the_arguments() -> None:
    [recorder] = programs.recorder_nodes(SuiteOptions(output="here", task="pick up the red cube"))
    assert recorder.full_name == "/recorder"
    assert {"output": "here", "task": "pick up the red cube"}.items() <= recorder.parameters.items()


def test_modules_and_files_of_a_command_line_exist(tmp_path: Path) -> None:
    for spec in programs.suite_nodes(SIMULATION):
        if spec.package != PACKAGE:
            continue
        line = command_line(spec, ["program"], tmp_path / "own.yaml")
        assert main_module(spec) == PROGRAMS[spec.executable]
        files = [Path(line[i + 1]) for i, word in enumerate(line) if word == "--params-file"]
        assert all(file.is_file() for file in files[:-1])
        assert ("--ros-args" in line) == spec.is_ros


PROBE = """
import sys, rclpy
from rclpy.node import Node
rclpy.init(args=sys.argv)
node = Node("other", automatically_declare_parameters_from_overrides=True)
names = ("mode", "fusion", "threshold")
print(node.get_fully_qualified_name(), *(node.get_parameter(name).value for name in names))
"""


@pytest.mark.parametrize("key", ["/**", "executor", "/executor", "/**/executor"])
def test_an_argument_overrides_the_params_file_which_overrides_the_package(key: str, tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="it is ROS that reads the parameters")
    own, mine = tmp_path / "own.yaml", tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({key: {"ros__parameters": {"mode": "disarmed", "fusion": "replace"}}}))
    executor = by_label(dataclasses.replace(SIMULATION, params_file=str(mine), mode="shadow"))["executor"]
    own.write_text(parameter_text(executor))
    line = command_line(executor, [], own)
    result = subprocess.run([sys.executable, "-c", PROBE, *line], capture_output=True, text=True, timeout=30)
    assert result.stdout.split() == ["/executor", "shadow", "replace", "0.7"], result.stderr
