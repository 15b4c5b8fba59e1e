# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find errors in recorded episodes before a policy is trained on them: a LeRobot dataset (v3.0), a bag, many bags.

    check_dataset my_dataset --calibration my_arm.json --html report.html
    check_dataset episodes/episode_000007

Needs neither ROS nor LeRobot.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smolvla_ros.dataset.checks import check_episodes, measured_facts
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.html_report import save_page
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.lerobot_format import INFO
from smolvla_ros.finding import Finding, Report
from smolvla_ros.policy.preflight.dataset_check import check_dataset
from smolvla_ros.suite.bag_options import add_bag_options, bag_mapping
from smolvla_ros.suite.command_line import ROBOT, add_options, exit_on_errors, load_robot_and_calibration
from smolvla_ros.terminal.report import print_report, report_console


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="check_dataset",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 no errors (there may be warnings), 1 errors or not readable, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("path", type=Path, help="dataset folder, bag, or folder of bags")
    add_options(parser, *ROBOT)
    add_bag_options(parser)
    add("--strict", action="store_true", help="stop at the first episode that cannot be read")
    add("--html", type=Path, metavar="FILE", help="save the report with plots as an HTML page")
    return parser


@exit_on_errors("check_dataset")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    robot, calibration = load_robot_and_calibration(options)
    units = robot.units(calibration)
    damaged: dict[str, Exception] | None = None if options.strict else {}
    episodes = list(
        read_episodes(options.path, robot, units, bag_mapping(options, robot), options.time, damaged)
    )
    if options.task is not None:
        episodes = [replace(episode, tasks=(options.task,)) for episode in episodes]
    findings = [
        Finding("error", "unreadable", str(error), "It is not checked; leave it out or repair it", where=name)
        for name, error in (damaged or {}).items()
    ]
    findings += check_episodes(episodes, robot)
    if (options.path / INFO).exists():  # a bag is in radians and has no statistics
        findings += check_dataset(options.path, robot, calibration, bool(options.units))
    if not episodes and not damaged:
        raise DatasetError(f"'{options.path}' has no episodes")
    report = Report(measured_facts(episodes) if episodes else {}, tuple(findings))
    if options.html:
        save_page(options.html, options.path.name, episodes, report, robot)
    print_report(report_console(), report)
    print(f"{len(report.errors)} errors, {len(findings) - len(report.errors)} warnings")
    if options.html:
        print(f"page: {options.html}")
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
