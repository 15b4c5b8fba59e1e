# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make demonstrations of tasks in the simulated world, as a LeRobot dataset (v3.0); needs neither ROS nor LeRobot.

    make_demonstrations --task pick_place --episodes 500 --seed 1 --output my_dataset

If it is interrupted, the same command continues.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.dataset.output_lock import locked_folder
from smolvla_ros.dataset.parallel_steps import run_all
from smolvla_ros.dataset.video import CODEC_HELP, CODECS
from smolvla_ros.settings import SettingError
from smolvla_ros.share import share_folder
from smolvla_ros.simulation.disturbance import DisturbanceSettings
from smolvla_ros.simulation.tasks.instruction import TASKS
from smolvla_ros.suite.command_line import (
    UsageError,
    add_options,
    add_settings,
    add_worker_options,
    exit_on_errors,
    load_robot,
    positive_int,
    settings_of,
)
from smolvla_ros.units import load_calibration
from smolvla_ros.worker_pool import worker_pool

try:
    from smolvla_ros.simulation.demonstration_dataset import DemonstrationRun, PictureSettings
except ModuleNotFoundError as error:
    if error.name != "mujoco":
        raise
    sys.exit("make_demonstrations: MuJoCo is missing; install it: pip install mujoco")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make_demonstrations",
        description=(__doc__ or "").split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog="Exit code: 0 done, 1 the dataset cannot be made, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add(
        "--task",
        nargs="+",
        choices=TASKS,
        required=True,
        help="task; several: each has as many episodes, in turn",
    )
    add("--episodes", type=positive_int, default=100, help="number of episodes")
    add("--seed", type=positive_int, default=1, help="with another seed all layouts are others")
    add("--output", type=Path, required=True, help="folder of the dataset")
    add_options(parser, "robot")
    add("--calibration", type=Path, help="calibration of the arm; default: that of the emulated arm")
    add("--cameras", nargs="+", default=["top", "wrist"], help="cameras of the robot file")
    add("--image-size", type=_size, metavar="WIDTHxHEIGHT", help="default: as in the robot file")
    add(
        "--camera-names",
        choices=("image_key", "name"),
        default="image_key",
        help="name images by image_key of the robot file (camera1) or by camera (top)",
    )
    add_settings(parser, DisturbanceSettings)
    add_settings(parser, PictureSettings)
    add("--keep-failures", action="store_true", help="keep episodes in which the expert failed")
    add("--codec", choices=sorted(CODECS), default="h264", help=CODEC_HELP)
    add("--robot-type", help="robot_type in info.json; default: the robot's name and _follower")
    add_worker_options(parser)
    return parser


def demonstration_run(arguments: argparse.Namespace) -> DemonstrationRun:
    """What the command line describes; raises RobotSpecError, CalibrationError, UsageError."""
    robot = load_robot(arguments)
    if arguments.image_size:
        width, height = arguments.image_size
        robot = robot.with_cameras(width=width, height=height)
    calibration = arguments.calibration or share_folder() / "config" / "emulated_calibration.json"
    try:
        disturbances = settings_of(arguments, DisturbanceSettings)
        pictures = settings_of(arguments, PictureSettings)
    except SettingError as error:
        raise UsageError(f"--{str(error).replace('_', '-', 1)}") from error
    return DemonstrationRun(
        output=arguments.output,
        robot=robot,
        calibration=load_calibration(calibration, robot.joint_names),
        tasks=tuple(arguments.task),
        episodes=arguments.episodes,
        seed=arguments.seed,
        cameras=tuple(arguments.cameras),
        disturbances=disturbances,
        pictures=pictures,
        keep_failures=arguments.keep_failures,
        by_name=arguments.camera_names == "name",
        codec=arguments.codec,
        robot_type=arguments.robot_type or f"{robot.name}_follower",
    )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return positive_int(width), positive_int(height)


@exit_on_errors("make_demonstrations", interrupted="stopped; run the same command again to continue")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    run = demonstration_run(options)
    with locked_folder(run.output):
        if not run.prepare():
            print(f"{run.output}: the demonstrations were already complete")
            return 0
        with worker_pool(options.jobs, options.ray, [run.output]) as pool:
            run_all("demonstrate", pool, run.make_episode, [(index,) for index in range(run.episodes)])
        dataset = run.write_dataset()
    failed = ", ".join(f"{count} times {reason}" for reason, count in run.failures().items())
    print(
        f"{run.output}: {dataset.info['total_episodes']} episodes, {dataset.info['total_frames']} frames at "
        f"{dataset.fps} fps, {len(dataset.tasks)} instructions, images {', '.join(dataset.image_keys)}; "
        f"failed attempts: {failed or 'none'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
