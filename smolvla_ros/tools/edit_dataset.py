# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make a new LeRobot dataset (v3.0) of others: choose, cut, split and merge episodes, change tasks, outcomes, cameras.

    edit_dataset my_dataset --output better --drop 3,7-9 --trim 4=0.5..12 --task 0-2="Pick up the red cube"
    edit_dataset first second --output both                             # merge
    edit_dataset my_dataset --output parts --shares train=0.9 val=0.1   # parts/train, parts/val

EPISODES are numbers from 0, such as 3,7-9, or all; those of further inputs are counted on. No input is changed.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from smolvla_ros.dataset.edited_dataset import write_edited
from smolvla_ros.dataset.edits import Edits, edited_clips, parts_by_share, parts_by_task
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.suite.command_line import UsageError, exit_on_errors, positive_int

OUTCOMES = ("success", "failure")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edit_dataset",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit code: 0 done, 1 a dataset cannot be used, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="INPUT", help="dataset folder; several are merged")
    add("--output", type=Path, required=True, help="folder of the new dataset, or of its parts")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--drop", metavar="EPISODES", help="leave these episodes out")
    chosen.add_argument("--keep", metavar="EPISODES", help="leave the others out")

    def changes(option: str, metavar: str, help: str) -> None:
        add(option, nargs="+", default=[], metavar=metavar, help=help)

    changes("--trim", "EPISODES=FROM..TO", "keep what lies between these times in s; either may be empty")
    changes("--split", "EPISODES=TIME,TIME", "make several episodes of one, cut at these times in s")
    changes("--task", "EPISODES=TEXT", "the task of whole episodes")
    changes("--rename-task", "OLD=NEW", "change the text of a task")
    changes("--rename-camera", "OLD=NEW", "change the name of a camera, such as front=camera1")
    changes("--outcome", "EPISODES=OUTCOME", "mark episodes as success or failure")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--by-task", action="store_true", help="a dataset for each task")
    parts.add_argument("--shares", nargs="+", metavar="NAME=SHARE", help="datasets of these shares, in order")
    add("--jobs", type=positive_int, default=os.cpu_count() or 1, help="processes; %(default)s")
    return parser


def edits_of(options: argparse.Namespace, count: int) -> Edits:
    """The edits that the command line describes, of `count` episodes; raises UsageError."""

    def of_episodes(option: str, parse: Callable[[str, str], Any]) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for text, value in _pairs(option, getattr(options, option[2:])):
            for number in _episodes(option, text, count):
                if number in found:
                    raise UsageError(f"{option}: episode {number} is given twice")
                found[number] = parse(option, value)
        return found

    return Edits(
        drop=_episodes("--drop", options.drop, count) if options.drop is not None else (),
        keep=_episodes("--keep", options.keep, count) if options.keep is not None else None,
        trim=of_episodes("--trim", _range),
        split=of_episodes(
            "--split", lambda option, text: [_number(option, word) for word in text.split(",")]
        ),
        tasks=of_episodes("--task", lambda _, text: text),
        task_texts=dict(_pairs("--rename-task", options.rename_task)),
        outcomes=of_episodes("--outcome", _outcome),
        cameras=dict(_pairs("--rename-camera", options.rename_camera)),
    )


def _pairs(option: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value.strip()):
            raise UsageError(f"{option}: expected something on both sides of '=', got '{text}'")
        yield name, value


def _episodes(option: str, text: str, count: int) -> list[int]:
    if text == "all":
        return list(range(count))
    numbers: list[int] = []
    for word in text.split(","):
        if not re.fullmatch(r"\d{1,9}(-\d{1,9})?", word):
            raise UsageError(f"{option}: expected episodes such as 3,7-9, or all, got '{text}'")
        first, _, last = word.partition("-")
        if int(last or first) >= count or int(first) > int(last or first):
            raise UsageError(f"{option}: there are no episodes {word}, there are {count} from 0")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _range(option: str, text: str) -> tuple[float, float | None]:
    begin, dots, end = text.partition("..")
    if not dots:
        raise UsageError(f"{option}: expected times such as 0.5..12 or ..12, got '{text}'")
    return _number(option, begin) if begin else 0.0, _number(option, end) if end else None


def _number(option: str, text: str) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d*)?|\.\d+", text):
        raise UsageError(f"{option}: expected a number of 0 or above, got '{text}'")
    return float(text)


def _outcome(option: str, text: str) -> str:
    if text not in OUTCOMES:
        raise UsageError(f"{option}: expected {' or '.join(OUTCOMES)}, got '{text}'")
    return text


@exit_on_errors("edit_dataset")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    datasets = [LeRobotDataset.load(path) for path in options.inputs]
    edits = edits_of(options, sum(len(dataset.episodes) for dataset in datasets))
    clips = edited_clips(datasets, edits)
    parts = {"": clips}
    if options.by_task:
        parts = parts_by_task(clips, edits)
    elif options.shares:
        shares = _pairs("--shares", options.shares)
        parts = parts_by_share(clips, {name: _number("--shares", value) for name, value in shares})
    for name, dataset in write_edited(parts, datasets, edits, options.output, options.jobs).items():
        print(
            f"{options.output / name}: {len(dataset.episodes)} episodes, {dataset.info['total_frames']} frames, "
            f"{len(dataset.tasks)} tasks, images {', '.join(dataset.image_keys)}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
