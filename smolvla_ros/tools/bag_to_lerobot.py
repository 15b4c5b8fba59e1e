# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert rosbags to a LeRobot dataset (v3.0), each bag to one episode; needs neither ROS nor LeRobot.

    bag_to_lerobot recordings/ --output my_dataset --calibration my_arm.json

If it is interrupted, the same command continues the conversion.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from smolvla_ros.dataset.alignment import AlignmentSettings
from smolvla_ros.dataset.bag import find_bags
from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.dataset.map_suggestion import suggest_mapping
from smolvla_ros.dataset.parallel_conversion import convert
from smolvla_ros.dataset.pieces import WANTED
from smolvla_ros.dataset.video import CODEC_HELP, CODECS
from smolvla_ros.suite.bag_options import add_bag_options, bag_mapping
from smolvla_ros.suite.command_line import (
    ROBOT,
    UsageError,
    add_options,
    add_worker_options,
    exit_on_errors,
    load_robot,
    load_robot_and_calibration,
    positive_int,
)
from smolvla_ros.units import load_calibration


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bag_to_lerobot",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 done, 1 a bag (left out) or the dataset cannot be used, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("bags", nargs="+", type=Path, metavar="BAG", help="rosbag2 folder or file, or a folder of bags")
    result = parser.add_mutually_exclusive_group(required=True)
    result.add_argument("--output", type=Path, help="folder of the dataset")
    result.add_argument(
        "--suggest-map",
        type=Path,
        metavar="YAML",
        help="write a file for --map from the first bag, to be corrected",
    )
    add("--append", action="store_true", help="append to an existing dataset what it does not have yet")
    add("--strict", action="store_true", help="stop at the first bag that cannot be converted")
    add("--fps", type=positive_int, help="frames per second; default: the robot file's rate_hz")
    add_options(parser, *ROBOT)
    add(
        "--action-calibration",
        type=Path,
        metavar="JSON",
        help="calibration of the leader, if it gives the action",
    )
    add_bag_options(parser)
    names = ("image_key", "name")
    add("--camera-names", choices=names, default=names[0], help="name images camera1 or, by name, top")
    add("--outcome", help="only bags with this outcome, such as success")
    add("--control", choices=("all", *WANTED), default="all", help="turns of person or policy alone")
    add(
        "--max-age",
        nargs="+",
        default=[],
        metavar="STREAM=SECONDS",
        help="maximum age of camera, state or action samples, such as camera=0.5",
    )
    add("--codec", choices=sorted(CODECS), default="h264", help=CODEC_HELP)
    add("--robot-type", help="robot_type in info.json; default: the robot's name and _follower")
    add("--subtasks", action="store_true", help="write changing instructions to language_persistent too")
    add_worker_options(parser)
    return parser


def conversion(arguments: argparse.Namespace) -> Conversion:
    """The conversion that the command line describes; raises USAGE_ERRORS, DataError."""
    robot, calibration = load_robot_and_calibration(arguments)
    rate_hz = arguments.fps or robot.rate_hz
    if rate_hz != int(rate_hz):
        raise UsageError(f"robot '{robot.name}': rate_hz {rate_hz} is not a whole number; give --fps")
    leader = arguments.action_calibration
    return Conversion(
        bags=tuple(find_bags(arguments.bags, arguments.outcome)),
        output=arguments.output,
        robot=robot,
        alignment=AlignmentSettings(int(rate_hz), arguments.time, **dict(map(_max_age, arguments.max_age))),
        calibration=calibration,
        action_calibration=load_calibration(leader, robot.joint_names) if leader else None,
        mapping=bag_mapping(arguments, robot),
        task=arguments.task,
        control=arguments.control,
        camera_names=arguments.camera_names,
        codec=arguments.codec,
        subtasks=arguments.subtasks,
        robot_type=arguments.robot_type or f"{robot.name}_follower",
    )


def _max_age(text: str) -> tuple[str, float]:
    """The field of AlignmentSettings and the seconds of STREAM=SECONDS; raises UsageError."""
    name, _, value = text.partition("=")
    if name not in ("camera", "state", "action"):
        raise UsageError(f"--max-age: '{name}' is none of camera, state, action")
    try:
        return f"max_{name}_age_s", float(value)
    except ValueError as error:
        raise UsageError(f"--max-age: expected something like camera=0.5, got '{text}'") from error


def suggest_map(options: argparse.Namespace) -> None:
    """Write the file of --suggest-map; raises DataError, OSError."""
    robot, bags = load_robot(options), find_bags(options.bags, options.outcome)
    text = suggest_mapping(bags[0], robot)
    with options.suggest_map.open("x", encoding="utf-8") as file:
        file.write(text)
    print(f"{options.suggest_map}: correct it, then use it with --map {options.suggest_map}")


@exit_on_errors("bag_to_lerobot", interrupted="stopped; run the same command again to continue")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.suggest_map:
        suggest_map(options)
        return 0
    report = partial(print, "bag_to_lerobot:", file=sys.stderr)
    work = conversion(options)
    converted = convert(work, options.append, options.jobs, options.strict, report, options.ray)
    if dataset := converted.dataset:
        print(
            f"{options.output}: {dataset.info['total_episodes']} episodes, {dataset.info['total_frames']} frames at "
            f"{dataset.fps} fps, {len(dataset.tasks)} tasks, images {', '.join(dataset.image_keys)}"
        )
    else:
        print(f"{options.output}: there was no episode to add")
    return 1 if converted.damaged else 0


if __name__ == "__main__":
    sys.exit(main())
