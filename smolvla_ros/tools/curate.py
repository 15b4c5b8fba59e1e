# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose datasets to train on together, as the SmolVLA paper did: robot, rate, episodes, frames, tasks, images, errors.

    curate ~/datasets --output selected.txt --html curation.html --calibration my_arm.json
    train selected.txt --output runs/all

Needs neither ROS nor LeRobot.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from smolvla_ros.curation.dataset_images import spread_over_dataset, thumbnails
from smolvla_ros.curation.image_quality import ImageSettings
from smolvla_ros.curation.selection import (
    SelectionSettings,
    SurveyedDataset,
    compare_datasets,
    find_datasets,
    survey_dataset,
)
from smolvla_ros.curation.selection_file import write_selection
from smolvla_ros.dataset.checks import check_episodes, merge_findings
from smolvla_ros.dataset.errors import DataError
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.finding import Finding
from smolvla_ros.policy.preflight.dataset_check import check_dataset
from smolvla_ros.suite.command_line import (
    ROBOT,
    add_options,
    add_settings,
    exit_on_errors,
    load_robot_and_calibration,
    new_file,
    settings_of,
)
from smolvla_ros.viewer.page_files import EmbeddedFiles
from smolvla_ros.viewer.table_page import Row, table_page

HEAD = ("dataset", "content", "selected", "findings")
SHOWN = 4  # images of each camera


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="curate",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 some are selected, 1 none is, or nothing can be read, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="dataset folders, or folders that contain some")
    add(
        "--output",
        type=Path,
        metavar="FILE.txt",
        help="write the list of selected datasets, which train takes",
    )
    add("--html", type=new_file, metavar="FILE", help="write the report as a page with pictures")
    add("--no-check", dest="check", action="store_false", help="do not look for check_dataset's errors")
    add_options(parser, *ROBOT)
    for settings in (SelectionSettings, ImageSettings):
        add_settings(parser, settings)
    return parser


def survey(options: argparse.Namespace) -> list[SurveyedDataset]:
    """All datasets with all findings. Raises DataError, USAGE_ERRORS."""
    types = tuple(each.lower() for each in options.robot_types)
    settings = replace(settings_of(options, SelectionSettings), robot_types=types)
    image_settings = settings_of(options, ImageSettings)
    robot, calibration = load_robot_and_calibration(options)
    units = robot.units(calibration)

    def faults(path: Path) -> list[Finding]:
        """What check_dataset finds."""
        try:
            found = check_episodes(list(read_episodes(path, robot, units)), robot)
        except DataError as error:
            return [Finding("error", "unreadable", str(error))]
        return merge_findings(found + check_dataset(path, robot, calibration, bool(options.units)))

    surveys = []
    for path in tqdm(find_datasets(options.paths), "curate", unit=" datasets", disable=None, leave=False):
        surveyed = survey_dataset(path, robot, settings, image_settings)
        if options.check and not surveyed.errors:  # all images are read, so only if it matters
            surveyed = surveyed.found(finding for finding in faults(path) if finding.check != "task")
        surveys.append(surveyed)
    return compare_datasets(surveys, settings)


def row(surveyed: SurveyedDataset) -> Row:
    """A row of the page. Raises DataError."""
    dataset = surveyed.dataset
    content, picture = "not readable", None
    if dataset:
        content = (
            f"{len(dataset.episodes)} episodes, {dataset.info['total_frames']} frames at {dataset.fps} fps\n"
            f"{', '.join(dataset.image_keys)}\n{'; '.join(dataset.tasks[:3])}"
        )
        is_readable = all(finding.check != "unreadable" for finding in surveyed.errors)
        if is_readable and dataset.image_keys and dataset.episodes:
            picture = thumbnails(dataset, dataset.image_keys, spread_over_dataset(dataset, SHOWN))
    findings = "\n".join(_text(finding) for finding in surveyed.findings)
    severity = "error" if surveyed.errors else "warning" if surveyed.findings else "ok"
    return Row((str(surveyed.path), content, "no" if surveyed.errors else "yes", findings), picture, severity)


def _text(finding: Finding) -> str:
    where = f", {finding.where}" if finding.where else ""
    return f"{finding.severity}: {finding.check}{where}: {finding}"


@exit_on_errors("curate")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    surveys = survey(options)
    selected = [surveyed.path for surveyed in surveys if not surveyed.errors]
    summary = f"{len(selected)} of {len(surveys)} datasets are selected"
    left_out = {each.path: "; ".join(map(_text, each.errors)) for each in surveys if each.errors}
    for path, reason in {**dict.fromkeys(selected, "selected"), **left_out}.items():
        print(f"{path}\n    {reason}")
    print(summary)
    if options.html:
        rows = [row(surveyed) for surveyed in surveys]
        options.html.write_text(
            table_page("Curation", summary, HEAD, rows, EmbeddedFiles()), encoding="utf-8"
        )
        print(f"page: {options.html}")
    if options.output:
        write_selection(options.output, selected, left_out)
        print(f"list: {options.output}")
    return 0 if selected else 1


if __name__ == "__main__":
    sys.exit(main())
