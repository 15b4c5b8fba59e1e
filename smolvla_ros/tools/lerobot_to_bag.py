# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert the episodes of a LeRobot dataset (v3.0) to rosbags with this package's topics; needs no ROS.

lerobot_to_bag my_dataset --output bags --calibration my_arm.json
ros2 bag play bags/episode_000000

Actions are on /dataset/joint_commands, to which no arm subscribes. Depth images are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.dataset.bag_export import ACTION_TOPIC, write_bag
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.suite.command_line import ROBOT, add_options, exit_on_errors, load_robot_and_calibration

START_NS = 1_000_000_000 * NANOSECONDS  # datasets have no recording time; any time but zero


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lerobot_to_bag",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 done, 1 the dataset cannot be used, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("dataset", type=Path, help="folder of the dataset")
    add("--output", type=Path, required=True, help="folder for the bags, named episode_NNNNNN")
    add("--episodes", type=int, nargs="+", metavar="N", help="episodes, from 0; default: all")
    add_options(parser, *ROBOT)
    return parser


@exit_on_errors("lerobot_to_bag")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    robot, calibration = load_robot_and_calibration(options)
    dataset = LeRobotDataset.load(options.dataset)
    if dataset.depth_keys:
        print(f"lerobot_to_bag: {dataset.depth_note}", file=sys.stderr)
    start_ns = START_NS
    for episode in options.episodes or range(len(dataset.episodes)):
        path = options.output / f"episode_{episode:06d}"
        frames = write_bag(dataset, episode, path, robot, calibration, start_ns)
        start_ns += (frames // dataset.fps + 2) * NANOSECONDS
        print(f"{path}: {frames} frames at {dataset.fps} fps")
    print(f"actions are on {ACTION_TOPIC}: playing them moves no arm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
