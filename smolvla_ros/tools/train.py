# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Train a SmolVLA on LeRobot datasets (v3.0) or bags; the result is a checkpoint for the policy node and LeRobot.

    train my_dataset --output runs/cube --calibration my_arm.json
    train --output runs/cube --resume

Needs neither ROS nor LeRobot. On several GPUs or computers: accelerate launch -m smolvla_ros.tools.train ...
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping
from smolvla_ros.dataset.checks import check_episodes, merge_findings
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.lerobot_format import ACTION
from smolvla_ros.finding import Report
from smolvla_ros.policy.preflight.dataset_check import check_dataset
from smolvla_ros.stop_signals import recorded_stop_signals
from smolvla_ros.suite.command_line import (
    ROBOT,
    UsageError,
    add_options,
    add_settings,
    exit_on_errors,
    load_robot_and_calibration,
    settings_of,
)
from smolvla_ros.terminal.report import print_report, report_console
from smolvla_ros.training.action_errors import error_table, joint_names
from smolvla_ros.training.errors import TrainingError
from smolvla_ros.training.session import Outcome, TrainingRequest, continuation, prepare_once, run_lock, train
from smolvla_ros.training.settings import TrainingSettings
from smolvla_ros.training.sources import as_datasets

BASE = "lerobot/smolvla_base"


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 done or stopped by Ctrl-C with a checkpoint, 1 data, checkpoint or disk cannot be used, "
        "2 the command line is wrong.",
    )
    add = parser.add_argument
    add(
        "datasets",
        nargs="*",
        metavar="DATASET",
        help="dataset folder, list of curate, or bags, which are converted first",
    )
    add("--output", type=Path, required=True, help="folder of the run")
    add("--resume", action="store_true", help="continue the run in --output with its own settings")
    add("--checkpoint", default=BASE, help="folder or hub id to start from; %(default)s")
    add("--from-scratch", action="store_true", help="start with new weights; --backbone gives the sizes")
    add(
        "--cameras", nargs="+", default=[], metavar="NAME=KEY", help="the checkpoint's camera = the dataset's"
    )
    add("--map", type=Path, metavar="YAML", help="topics, joints and units of another robot's bags")
    add("--no-check", dest="check", action="store_false", help="do not look for errors in the datasets first")
    add_options(parser, *ROBOT, "revision", "backbone")
    add_settings(parser, TrainingSettings)
    return parser


def request(options: argparse.Namespace, datasets: Sequence[Path]) -> TrainingRequest:
    """What the command line asks for; raises UsageError, SettingError."""
    cameras = dict(text.partition("=")[::2] for text in options.cameras)
    if not all(cameras.values()):
        raise UsageError("--cameras: expected the checkpoint's camera = the dataset's, such as camera1=top")
    if options.from_scratch and not options.backbone:
        raise UsageError("--from-scratch needs --backbone, a folder with config.json and tokenizer.json")
    return TrainingRequest(
        tuple(str(path) for path in datasets),
        "" if options.from_scratch else options.checkpoint,
        settings_of(options, TrainingSettings),
        options.backbone,
        options.revision,
        cameras,
    )


def prepare(options: argparse.Namespace) -> TrainingRequest:
    """Convert and check the data of a new run. Raises errors of this package."""
    if options.output.exists() and any(options.output.iterdir()):
        raise UsageError(f"--output '{options.output}' is not empty; {continuation(options.output)}")
    request(options, ())  # wrong settings are found before the data is read
    robot, calibration = load_robot_and_calibration(options)
    mapping = BagMapping.load(options.map, robot) if options.map else OWN_TOPICS
    paths = [Path(each) for each in options.datasets]
    datasets = as_datasets(paths, options.output, robot, calibration, mapping)
    if options.check:
        units = robot.units(calibration)
        for path in datasets:
            findings = merge_findings(check_episodes(list(read_episodes(path, robot, units)), robot))
            findings += check_dataset(path, robot, calibration, bool(options.units))
            report = Report({}, tuple(findings))
            if report.errors:
                print_report(report_console(), Report({"dataset": (str(path),)}, report.errors))
                raise TrainingError(f"'{path}' has errors; correct them, or train anyway with --no-check")
    made = request(options, datasets)
    made.save(options.output)
    return made


def request_of(options: argparse.Namespace) -> TrainingRequest:
    """The request of a new run, or that of the run to continue. Raises errors of this package."""
    if options.resume:
        return TrainingRequest.load(options.output)
    if not options.datasets:
        raise UsageError("give at least one dataset, or --resume")
    return prepare_once(lambda: prepare(options), options.output, options.device)


def print_outcome(outcome: Outcome, options: argparse.Namespace) -> None:
    robot, calibration = load_robot_and_calibration(options)
    if outcome.errors is not None:
        names = joint_names(dict(outcome.task.datasets[0].features[ACTION]), len(outcome.errors.policy))
        of = "held-out episodes" if outcome.errors.is_held_out else "the episodes that were trained on"
        print(f"\nmean error of the actions of a chunk, on {of}\n")
        print("\n".join(error_table(outcome.errors, robot.units(calibration), names)))
        print(f"\ncheck_checkpoint {outcome.checkpoint}")
        print(f"ros2 launch smolvla_ros so100.launch.py checkpoint:={outcome.checkpoint}")
    elif outcome.done:
        print(f"stopped after update {outcome.done}; continue: train --output {options.output} --resume")
    if outcome.picture:
        print(f"losses: {outcome.picture}")


@exit_on_errors("train")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    with run_lock(options.output, options.device):
        made = request_of(options)
        with recorded_stop_signals() as stop:
            outcome = train(made, options.output, stop, lambda text: print(text, file=sys.stderr))
    if outcome.is_first_process:
        print_outcome(outcome, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
