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
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from smolvla_ros.dataset.checks import merge_findings
from smolvla_ros.suite.bag_options import add_bag_options
from smolvla_ros.suite.command_line import ROBOT, add_options, add_worker_options, exit_on_errors, new_file
from smolvla_ros.suite.data_checks import checked_data, editable_data
from smolvla_ros.terminal.report import print_report, report_console
from smolvla_ros.viewer.episode_page import page
from smolvla_ros.viewer.page_files import EmbeddedFiles
from smolvla_ros.worker_pool import worker_pool


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
    add_worker_options(parser, jobs=1)
    add("--html", type=new_file, metavar="FILE", help="save the page of view_dataset too, in one file")
    return parser


@exit_on_errors("check_dataset")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    here = options.jobs == 1 and not options.ray
    with nullcontext() if here else worker_pool(options.jobs, options.ray, [options.path]) as pool:
        data = checked_data(options, [options.path], options.strict, pool)
    if options.html:
        name = options.path.resolve().name
        editable = editable_data([options.path])
        text = page(name, data.report, data.episodes, data.robot, EmbeddedFiles(), editable)
        options.html.write_text(text, encoding="utf-8")
    report = replace(data.report, findings=tuple(merge_findings(data.report.findings)))
    print_report(report_console(), report)
    print(f"{len(report.errors)} errors, {len(report.findings) - len(report.errors)} warnings")
    if options.html:
        print(f"page: {options.html}")
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
