# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a LeRobot dataset (v3.0) from rosbags, one episode a bag; needs neither ROS nor LeRobot.

    bag_to_lerobot recordings/ --output my_dataset --calibration my_arm.json

A conversion that was cut off is taken up by the same command.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.dataset.alignment import AlignmentSettings
from smolvla_ros.dataset.bag import Bag, find_bags
from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.dataset.errors import BagError, EpisodeError
from smolvla_ros.dataset.parallel_conversion import convert
from smolvla_ros.dataset.video import CODECS
from smolvla_ros.suite.command_line import ROBOT, add_options, exit_on_errors, load_robot_and_calibration
from smolvla_ros.units import load_calibration


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bag_to_lerobot",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 done, 1 a bag or the dataset is unfit, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("bags", nargs="+", type=Path, metavar="BAG", help="rosbag2 folder or file, or a folder of bags")
    add("--output", type=Path, required=True, help="folder of the dataset")
    add("--append", action="store_true", help="add to the dataset that is there")
    add("--fps", type=int, help="frames per second; without: the robot file's rate_hz")
    add_options(parser, *ROBOT)
    add(
        "--action-calibration",
        type=Path,
        metavar="JSON",
        help="that of the leader, if --action names its joint states",
    )
    add("--cameras", nargs="+", metavar="NAME[=TOPIC]", help="robot cameras; without: all that are recorded")
    add(
        "--camera-names",
        choices=("image_key", "name"),
        default="image_key",
        help="call images as the robot file's checkpoint does (camera1), or as the camera (top)",
    )
    add("--outcome", help="only bags that the recorder marked so, such as success")
    add("--state", default="joint_states", metavar="TOPIC", help="observation.state; %(default)s")
    add("--action", default="joint_commands", metavar="TOPIC", help="action; %(default)s")
    add("--task", help="instruction of all episodes, instead of the recorded active_task")
    add(
        "--time",
        choices=("header", "receive"),
        default="header",
        help="go by the stamps of the drivers or by times of arrival; %(default)s",
    )
    add(
        "--max-age",
        nargs="+",
        default=[],
        metavar="STREAM=SECONDS",
        help="how long camera, state or action may be silent, such as camera=0.5",
    )
    add("--codec", choices=sorted(CODECS), default="h264", help="%(default)s")
    add("--robot-type", help="robot_type in info.json; without: the robot's name and _follower")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes; %(default)s")
    return parser


def conversion(arguments: argparse.Namespace) -> Conversion:
    """What the command line asks for; raises the errors of its parts."""
    robot, calibration = load_robot_and_calibration(arguments)
    ages = dict(_pair(text, "--max-age", "camera=0.5") for text in arguments.max_age)
    unknown = [name for name in ages if name not in ("camera", "state", "action")]
    if unknown:
        raise EpisodeError(f"--max-age: '{unknown[0]}' is none of camera, state, action")
    rate_hz = arguments.fps or robot.rate_hz
    if rate_hz != int(rate_hz):
        raise EpisodeError(f"robot '{robot.name}': rate_hz {rate_hz} is no whole number; give --fps")
    cameras = None
    if arguments.cameras is not None:
        cameras = {
            name: topic or None for name, _, topic in (text.partition("=") for text in arguments.cameras)
        }
    leader = arguments.action_calibration
    return Conversion(
        bags=_bags(arguments.bags, arguments.outcome),
        output=arguments.output,
        robot=robot,
        alignment=AlignmentSettings(
            int(rate_hz),
            arguments.time,
            **{f"max_{name}_age_s": _seconds(name, value) for name, value in ages.items()},
        ),
        calibration=calibration,
        action_calibration=load_calibration(leader, robot.joint_names) if leader else None,
        cameras=cameras,
        state=arguments.state,
        action=arguments.action,
        task=arguments.task,
        camera_names=arguments.camera_names,
        codec=arguments.codec,
        robot_type=arguments.robot_type or f"{robot.name}_follower",
    )


def _bags(paths: Sequence[Path], outcome: str | None) -> tuple[Path, ...]:
    """The bags to convert, in order; raises BagError."""
    bags = find_bags(paths)
    if outcome is None:
        return tuple(bags)
    marked = {}
    for path in bags:
        with Bag(path) as bag:
            marked[path] = bag.custom_data.get("outcome", "")
    chosen = tuple(path for path, mark in marked.items() if mark == outcome)
    if not chosen:
        raise BagError(f"no bag is marked '{outcome}'; the marks are {sorted(set(marked.values()))}")
    return chosen


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise EpisodeError(f"{option}: expected something like {example}, got '{text}'")
    return name, value


def _seconds(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise EpisodeError(f"--max-age: {name} must be seconds, got '{value}'") from error


def main() -> None:
    arguments = parser().parse_args()
    with exit_on_errors("bag_to_lerobot", interrupted="run the same command again to continue"):
        dataset = convert(conversion(arguments), arguments.append, arguments.jobs)
        if dataset is None:
            print(f"{arguments.output}: the conversion was already complete")
            return
        print(
            f"{arguments.output}: {dataset.info['total_episodes']} episodes, {dataset.info['total_frames']} frames at "
            f"{dataset.fps} fps, {len(dataset.tasks)} tasks, images {', '.join(dataset.image_keys)}"
        )


if __name__ == "__main__":
    main()
