# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check a LeRobot dataset (v3.0) and upload it to the Hugging Face Hub, private unless --public is given.

    push_dataset my_dataset USER/NAME --calibration my_arm.json --license apache-2.0

Its card (README.md) is written from what is known, with the findings of check_dataset, unless the folder has one. If
the upload is interrupted, the same command continues. Log in before: hf auth login.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.dataset.checks import check_episodes, merge_findings
from smolvla_ros.dataset.dataset_card import dataset_card
from smolvla_ros.dataset.hub import hub, push_dataset
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.finding import Finding
from smolvla_ros.policy.preflight.dataset_check import check_dataset
from smolvla_ros.suite.command_line import ROBOT, add_options, exit_on_errors, load_robot_and_calibration


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="push_dataset",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit code: 0 done, 1 the dataset or the hub cannot be used, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("dataset", type=Path, help="folder of the dataset")
    add("name", metavar="USER/NAME", help="its name on the hub; one that is there is replaced")
    add("--public", action="store_true", help="everybody can see it")
    add("--license", default="", metavar="ID", help="such as apache-2.0 or cc-by-4.0; default: not stated")
    add("--dry-run", action="store_true", help="print the card, upload nothing")
    add_options(parser, *ROBOT)
    return parser


def findings_of(options: argparse.Namespace) -> list[Finding]:
    """What check_dataset finds; raises DataError, USAGE_ERRORS."""
    robot, calibration = load_robot_and_calibration(options)
    episodes = list(read_episodes(options.dataset, robot, robot.units(calibration)))
    of_all = check_dataset(options.dataset, robot, calibration, bool(options.units))
    return merge_findings([*check_episodes(episodes, robot), *of_all])


@exit_on_errors("push_dataset", interrupted="stopped; run the same command again to continue")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    dataset = LeRobotDataset.load(options.dataset)
    card = dataset_card(dataset, options.name, findings_of(options), options.license)
    if options.dry_run:
        print(card)
        return 0
    print(push_dataset(hub(), options.dataset, options.name, card, not options.public))
    return 0


if __name__ == "__main__":
    sys.exit(main())
