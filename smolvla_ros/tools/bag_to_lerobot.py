# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a LeRobot dataset (v3.0) from rosbags, one episode a bag; needs neither ROS nor LeRobot.

    bag_to_lerobot recordings/ --output my_dataset --calibration my_arm.json

A conversion that was cut off is taken up by the same command.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

from smolvla_ros.dataset.bag import Bag, BagError, find_bags
from smolvla_ros.dataset.convert import Conversion
from smolvla_ros.dataset.episode import Alignment, EpisodeError
from smolvla_ros.dataset.lerobot_reader import DatasetError
from smolvla_ros.dataset.video import CODECS, VideoError
from smolvla_ros.robot import RobotSpecError
from smolvla_ros.share import InstallationError
from smolvla_ros.suite.command_line import ROBOT, add_options, load_robot_and_calibration
from smolvla_ros.units import CalibrationError, load_calibration

BAR = 30


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
        alignment=Alignment(
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


def convert(work: Conversion, append: bool, jobs: int) -> None:
    """Take every step of a conversion, several at once, and say how far it is."""
    if not work.begin(append):
        print(f"{work.output}: the conversion was already complete")
        return
    os.environ.setdefault("SVT_LOG", "1")  # of the AV1 encoder: errors only
    # one thread each, as there is a process for every core
    with ProcessPoolExecutor(jobs, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        _all("read", pool, work.align, [(index,) for index in range(len(work.bags))])
        _all("encode", pool, work.encode, work.videos())
    dataset = work.finish()
    print(
        f"{work.output}: {dataset.info['total_episodes']} episodes, {dataset.info['total_frames']} frames at "
        f"{dataset.fps} fps, {len(dataset.tasks)} tasks, images {', '.join(dataset.image_keys)}"
    )


def _all(
    verb: str, pool: ProcessPoolExecutor, step: Callable[..., None], calls: Sequence[tuple[Any, ...]]
) -> None:
    futures: list[Future[None]] = [pool.submit(step, *call) for call in calls]
    began = time.monotonic()
    try:
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            _progress(verb, done, len(futures), time.monotonic() - began)
    finally:
        for future in futures:
            future.cancel()


def _progress(verb: str, done: int, total: int, seconds: float) -> None:
    if sys.stderr.isatty():
        filled = BAR * done // total
        bar = "#" * filled + "." * (BAR - filled)
        end = "\n" if done == total else ""
        print(f"\r{verb:7} [{bar}] {done}/{total}  {seconds:.0f} s", end=end, file=sys.stderr, flush=True)


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


@contextmanager
def plain_errors(program: str) -> Iterator[None]:
    """End the program with the message of what a user can mend; anything else is a bug and shows its trace."""
    usage = (RobotSpecError, CalibrationError, InstallationError)
    unfit = (BagError, EpisodeError, DatasetError, VideoError)
    try:
        yield
    except (*usage, *unfit, BrokenProcessPool, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, usage) else 1)
    except KeyboardInterrupt:
        print(f"{program}: cut off; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def main() -> None:
    arguments = parser().parse_args()
    with plain_errors("bag_to_lerobot"):
        convert(conversion(arguments), arguments.append, arguments.jobs)


if __name__ == "__main__":
    main()
