# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishes an episode of a LeRobot dataset (v3.0) on topics, at its own pace.

play_dataset my_dataset --episode 3 --calibration my_arm.json
    what was observed: images, joint states and the task, as input of a policy node; keep the executor disarmed
play_dataset my_dataset --episode 3 --calibration my_arm.json --actions
    the actions as chunks for an armed executor: the arm repeats the episode within its limits
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.nodes.client_node import ClientNode, arguments_without_ros
from smolvla_ros.nodes.dataset_player import DatasetPlayer
from smolvla_ros.suite.command_line import ROBOT, add_options, exit_on_errors, load_robot_and_calibration


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="play_dataset",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit code: 0 done, 1 it cannot be played or the arm left out a part, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("dataset", type=Path, help="folder of the dataset")
    add("--episode", type=int, default=0, metavar="N", help="which, from 0; %(default)s")
    add("--actions", action="store_true", help="send the actions to the executor instead of the observations")
    add_options(parser, *ROBOT)
    return parser


@exit_on_errors("play_dataset")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments_without_ros(arguments))
    robot, calibration = load_robot_and_calibration(options)
    dataset = LeRobotDataset.load(options.dataset)
    if dataset.depth_keys and not options.actions:
        print(f"play_dataset: {dataset.depth_note}", file=sys.stderr, flush=True)
    with ClientNode("play_dataset") as client:
        player = DatasetPlayer(client, dataset, options.episode, robot, calibration)
        count = player.play_actions() if options.actions else player.play_observations()
    what = "actions" if options.actions else "frames"
    print(f"{dataset.root}, episode {options.episode}: {count} {what} at {dataset.fps} fps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
