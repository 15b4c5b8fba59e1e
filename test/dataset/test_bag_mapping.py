# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of other robots become episodes of this one by a mapping file, or are refused with what would help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.dataset.bag_mapping import BagMapping, MappingError
from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.dataset.errors import DataError, EpisodeError
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.map_suggestion import suggest_mapping
from smolvla_ros.tools.bag_to_lerobot import conversion as command
from smolvla_ros.tools.bag_to_lerobot import parser, suggest_map
from smolvla_ros.training.sources import as_datasets

from ..package_files import CALIBRATION_FILE, ROOT
from ..sample_bags import CALIBRATION, ROBOT, START_NS, Entry, conversion, header, positions, record, run

EXAMPLE = ROOT / "config" / "map_example.yaml"
# What config/map_example.yaml makes of the values of the other robot: scale and offset (rad) of each joint.
SCALES = np.array([1, -1, 1, np.pi / 180, -np.pi / 180, 0])
OFFSETS = np.array([0, 0, 1.57, 0, np.pi / 2, 0])
GRIPPER = ROBOT.joints[5]
SCALES[5] = (GRIPPER.upper_rad - GRIPPER.lower_rad) / 0.04
OFFSETS[5] = GRIPPER.lower_rad
NAMES = ["joint_1", "joint_2", "joint_3", "joint_4", "joint_5", "finger"]


def foreign(values: Any) -> Any:
    """Positions of this robot as the other one publishes them."""
    return (np.asarray(values) - OFFSETS) / SCALES


def array_message(bag: BagWriter, values: Any) -> Any:
    layout = bag.message("std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
    return bag.message("std_msgs/msg/Float64MultiArray", layout=layout, data=np.asarray(values, np.float64))


def trajectory(bag: BagWriter, stamp_ns: int, rows: Any, step_ns: int = 20_000_000) -> Any:
    none = np.zeros(0)
    points = [
        bag.message(
            "trajectory_msgs/msg/JointTrajectoryPoint",
            positions=np.asarray(row, np.float64),
            velocities=none,
            accelerations=none,
            effort=none,
            time_from_start=bag.message("builtin_interfaces/msg/Duration", sec=0, nanosec=(k + 1) * step_ns),
        )
        for k, row in enumerate(rows)
    ]
    return bag.message(
        "trajectory_msgs/msg/JointTrajectory", header=header(bag, stamp_ns), joint_names=NAMES, points=points
    )


def other_robot(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
    """The recording as of the robot of config/map_example.yaml: names, units and zeros; commands without a header."""
    changed = []
    for topic, message, receive_ns in entries:
        if topic == "/joint_states":
            values = foreign(message.position)
            order = [3, 1, 0, 2, 5, 4]
            message.name, message.position = [NAMES[i] for i in order], values[order]
            topic = "/arm/joint_states"
        elif topic == "/joint_commands":
            topic, message = "/arm/commands", array_message(bag, foreign(message.position))
        elif topic == "/active_task":
            topic = "/instruction"
        elif topic == "/top/image_raw/compressed":
            topic = "/camera/color/image_raw/compressed"
        elif topic == "/wrist/image_raw/compressed":
            topic = "/gripper_camera/image_raw"
        changed.append((topic, message, receive_ns))
    return changed


def mapped(bag: Path, output: Path, mapping: Path) -> Conversion:
    options = [
        str(bag),
        "--output",
        str(output),
        "--map",
        str(mapping),
        "--calibration",
        str(CALIBRATION_FILE),
    ]
    return command(parser().parse_args(options))


def test_the_example_converts_the_bag_of_another_robot(tmp_path: Path) -> None:
    theirs = run(mapped(record(tmp_path / "theirs", edit=other_robot), tmp_path / "data", EXAMPLE))
    ours = run(conversion([record(tmp_path / "ours")], tmp_path / "ours_data"))
    for name in ("state", "action"):
        found, expected = getattr(theirs.frames(0), name), getattr(ours.frames(0), name)
        assert np.allclose(found, expected[: len(found)], atol=0.5) and len(found) == 31
    assert theirs.tasks == ours.tasks and theirs.image_keys == ours.image_keys


def test_the_doctor_reads_bags_by_the_same_mapping(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", edit=other_robot)
    [episode] = read_episodes(bag, ROBOT, ROBOT.units(CALIBRATION), BagMapping.load(EXAMPLE, ROBOT))
    assert np.allclose(episode.state.positions_rad[0], positions(0.0)) and episode.action is not None
    assert np.allclose(episode.action.positions_rad[-1], positions(1.1))


def test_training_converts_the_bags_of_another_robot(tmp_path: Path) -> None:
    bag, mapping = record(tmp_path / "bag", edit=other_robot), BagMapping.load(EXAMPLE, ROBOT)
    [folder] = as_datasets([bag], tmp_path / "run", ROBOT, CALIBRATION, mapping)
    assert LeRobotDataset.load(folder).tasks == ("Pick up the red cube",)


def test_depth_is_refused_with_what_to_use_instead(tmp_path: Path) -> None:
    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        for topic, message, _ in entries:
            if topic == "/top/image_raw/compressed":
                message.format = "16UC1; compressedDepth png"
        return entries

    with pytest.raises(EpisodeError, match="is depth, not colour; use the camera's colour topic"):
        run(conversion([record(tmp_path / "bag", edit=edit)], tmp_path / "data"))


@pytest.mark.parametrize("points", [1, 3])
def test_points_of_a_trajectory_count_until_the_next_one_comes(tmp_path: Path, points: int) -> None:
    """Trajectories every 40 ms of points 20 ms apart, the third of which never counts."""

    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        kept = [entry for entry in entries if entry[0] != "/joint_commands"]
        for k in range(0, 50, 2):
            stamp_ns = START_NS + k * 20_000_000
            rows = [positions((k + i) / 50) if i < 2 else positions(9.0) for i in range(points)]
            kept.append(("/arm/trajectory", trajectory(bag, stamp_ns, rows), stamp_ns + 1_000_000))
        return kept

    path = tmp_path / "map.yaml"
    joints = {joint.name: {"source": name} for joint, name in zip(ROBOT.joints, NAMES, strict=True)}
    path.write_text(yaml.safe_dump({"action": {"topic": "/arm/trajectory", "joints": joints}}))
    dataset = run(mapped(record(tmp_path / "bag", edit=edit), tmp_path / "data", path))
    expected = ROBOT.units(CALIBRATION)[0]
    ticks = np.arange(len(dataset.frames(0).action) - 3) / 30
    step_s = 0.02 if points > 1 else 0.04
    newest = np.floor(ticks / step_s + 1e-6) * step_s
    degrees = [expected.rad_to_lerobot(float(positions(at)[0])) for at in newest]
    assert np.allclose(dataset.frames(0).action[: len(ticks), 0], degrees, atol=1e-3)


def test_the_suggested_file_maps_a_bag_as_far_as_names_tell(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", edit=other_robot)
    options = parser().parse_args([str(bag), "--suggest-map", str(tmp_path / "map.yaml")])
    suggest_map(options)
    text = (tmp_path / "map.yaml").read_text()
    mapping = BagMapping.load(tmp_path / "map.yaml", ROBOT)
    assert (mapping.state.name, mapping.action.name, mapping.task) == (
        "/arm/joint_states",
        "/arm/commands",
        "/instruction",
    )
    assert mapping.cameras == {
        "top": "/camera/color/image_raw/compressed",
        "wrist": "/gripper_camera/image_raw",
    }
    assert [joint.source for joint in mapping.action.joints] == list(range(6))
    assert [joint.source for joint in mapping.state.joints] == NAMES  # by the numbers in them
    assert "{source: joint_4, unit: degrees}" in text and "{source: finger, limits: [0.0" in text
    with pytest.raises(FileExistsError):  # it may have been corrected
        suggest_map(options)


def test_an_array_without_a_mapping_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        return [
            (topic, array_message(bag, message.position) if topic == "/joint_states" else message, at)
            for topic, message, at in entries
        ]

    bag = record(tmp_path / "bag", edit=edit)
    with pytest.raises(
        EpisodeError, match=r"without names of joints.*--suggest-map map.yaml.*--map map.yaml"
    ):
        run(conversion([bag], tmp_path / "data"))
    with pytest.raises(EpisodeError, match="without names of joints"):
        list(read_episodes(bag, ROBOT, ROBOT.units(CALIBRATION)))


def test_names_that_the_messages_do_not_have_are_refused(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("source: joint_3", "source: joint_9")
    (tmp_path / "map.yaml").write_text(text)
    bag = record(tmp_path / "bag", edit=other_robot)
    with pytest.raises(EpisodeError, match="has no joint joint_9; it has joint_4, joint_2"):
        run(mapped(bag, tmp_path / "data", tmp_path / "map.yaml"))


WRONG: dict[str, tuple[str, Any]] = {  # message: the key and its wrong value
    "unknown key 'topics' .*did you mean 'topic'": ("state.topics", "/x"),
    "cameras: unknown key 'front' .known: top, wrist": ("cameras.front", "/x"),
    "state: expected keys and values, got 'joint_states'": ("state", "joint_states"),
    "state.topic: expected the name of a topic, got None": ("state.topic", None),
    "state.joints has no shoulder_pan, ": ("state.joints", {"gripper": {"source": 1}}),
    "gripper.source: expected a joint's name .*got None": ("state.joints.gripper.source", None),
    "wrist_flex.unit: 'turns' is not one of": ("state.joints.wrist_flex.unit", "turns"),
    "wrist_flex.scale: expected a number, got 'x'": ("state.joints.wrist_flex.scale", "x"),
    "gripper.limits: expected the values": ("state.joints.gripper.limits", [1, 1]),
    "state: topic and arms exclude each other": ("state.arms", {"left_": "/a", "right_": "/b"}),
    "action.arms: expected two topics": ("action", {"arms": {"left_": "/a", "right_": "/a"}}),
    "limits and offset exclude each other": ("state.joints.gripper.offset", 1),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_mapping_file_is_refused_with_its_key(tmp_path: Path, message: str) -> None:
    path, (key, value) = tmp_path / "map.yaml", WRONG[message]
    data = table = yaml.safe_load(EXAMPLE.read_text())
    *parents, last = key.split(".")
    for parent in parents:
        table = table[parent]
    table[last] = value
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(MappingError, match=message):
        BagMapping.load(path, ROBOT)


def test_text_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text("state: [")
    with pytest.raises(MappingError, match="is not valid YAML"):
        BagMapping.load(tmp_path / "map.yaml", ROBOT)


def test_a_bag_without_positions_gives_no_suggestion(tmp_path: Path) -> None:
    bag = record(
        tmp_path / "bag", edit=lambda _, entries: [entry for entry in entries if "joint" not in entry[0]]
    )
    with pytest.raises(DataError, match="has no joint positions"):
        suggest_mapping(bag, ROBOT)
