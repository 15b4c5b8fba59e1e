# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a vision-language model reword the tasks of a LeRobot dataset (v3.0), or of bags, as the SmolVLA paper did.

    annotate_tasks my_dataset --output better                                      # asks before it writes
    annotate_tasks my_dataset --output better --url http://localhost:8000/v1 --yes

Answers are kept in OUTPUT.annotation: the same command continues, and people correct them in tasks.jsonl.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.curation.annotation_run import HEAD, AnnotationRun, edits_of, rows_of
from smolvla_ros.curation.task_annotation import cases_by_episode, cases_by_task, instruction_problem
from smolvla_ros.curation.vision_language_model import ModelSettings
from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping
from smolvla_ros.dataset.edited_dataset import write_edited
from smolvla_ros.dataset.edits import edited_clips
from smolvla_ros.dataset.lerobot_format import INFO
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.share import share_folder
from smolvla_ros.suite.command_line import (
    ROBOT,
    UsageError,
    add_options,
    add_settings,
    exit_on_errors,
    load_robot_and_calibration,
    positive_int,
    settings_of,
)
from smolvla_ros.terminal.prompt import Prompt
from smolvla_ros.text_table import align_columns
from smolvla_ros.training.sources import CONVERTED, as_datasets
from smolvla_ros.viewer.page_files import EmbeddedFiles
from smolvla_ros.viewer.table_page import table_page

ANSWERS, PAGE, PROMPT = "tasks.jsonl", "tasks.html", "annotate_tasks.txt"


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="annotate_tasks",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 written, or nothing to change, 1 not written, or some are left for a person, 2 the "
        "command line is wrong.",
    )
    add = parser.add_argument
    add("path", type=Path, help="dataset folder, bag, or folder of bags, which are converted first")
    add("--output", type=Path, required=True, help="folder of the new dataset")
    add("--all", action="store_true", help="also reword tasks that keep the rule already")
    add(
        "--per",
        choices=("task", "episode"),
        default="task",
        help="ask once for each wording, or episode; %(default)s",
    )
    add("--frames", type=positive_int, default=4, help="moments that the model sees; %(default)s")
    add("--views", nargs="+", metavar="CAMERA", help="cameras of the dataset that it sees; default: all")
    add("--prompt", type=Path, metavar="FILE", help="the question, with {task}, {characters} and {feedback}")
    add(
        "--attempts",
        type=positive_int,
        default=3,
        help="for a task, before it is left for a person; %(default)s",
    )
    add("--yes", action="store_true", help="write without asking")
    add("--map", type=Path, metavar="YAML", help="topics, joints and units of another robot's bags")
    add("--jobs", type=positive_int, default=os.cpu_count() or 1, help="processes that copy; %(default)s")
    add_settings(parser, ModelSettings)
    add_options(parser, *ROBOT)
    return parser


def load(options: argparse.Namespace, work: Path) -> LeRobotDataset:
    """The dataset, or that of the bags, converted in `work`. Raises DataError, TrainingError, USAGE_ERRORS."""
    if (options.path / INFO).exists():
        return LeRobotDataset.load(options.path)
    if not (work / CONVERTED / INFO).exists():
        robot, calibration = load_robot_and_calibration(options)
        mapping = BagMapping.load(options.map, robot) if options.map else OWN_TOPICS
        as_datasets([options.path], work, robot, calibration, mapping)
    else:
        print(f"the bags are those converted before; if they have changed, remove '{work / CONVERTED}'")
    return LeRobotDataset.load(work / CONVERTED)


@exit_on_errors("annotate_tasks", "interrupted; the same command continues")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.output.exists() and any(options.output.iterdir()):
        raise UsageError(f"--output '{options.output}' is not empty; give a new folder")
    work = options.output.resolve().with_name(f"{options.output.resolve().name}.annotation")
    work.mkdir(parents=True, exist_ok=True)
    dataset = load(options, work)
    prompt = (options.prompt or share_folder() / "config" / PROMPT).read_text(encoding="utf-8")
    cases = (cases_by_task if options.per == "task" else cases_by_episode)(dataset, options.frames)
    cases = [case for case in cases if options.all or instruction_problem(case.old)]
    cameras = options.views or dataset.image_keys
    run = AnnotationRun(dataset, cameras, prompt, options.attempts, work / ANSWERS)
    annotations = run.annotate(cases, settings_of(options, ModelSettings))
    rows = rows_of(dataset, annotations)
    print("\n".join(align_columns([HEAD, *(row.cells for row in rows)])))
    left = sum(not each.new for each in annotations)
    summary = f"{len(cases)} tasks, {left} left for a person: correct 'new' in {work / ANSWERS}"
    text = table_page(f"Tasks of {dataset.root.resolve().name}", summary, HEAD, rows, EmbeddedFiles())
    (work / PAGE).write_text(text, encoding="utf-8")
    print(f"{summary}\npage: {work / PAGE}")
    edits = edits_of(annotations)
    if not (edits.tasks or edits.task_texts):
        return 1 if left else 0
    if not (options.yes or Prompt().confirm(f"Write {options.output}?")):
        return 1
    write_edited({"": edited_clips([dataset], edits)}, [dataset], edits, options.output, options.jobs)
    print(f"dataset: {options.output}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
