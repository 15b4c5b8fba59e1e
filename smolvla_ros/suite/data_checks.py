# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded episodes with all that the checks find in them, for the tools that show it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from smolvla_ros.dataset.checks import check_episodes, measured_facts
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.inspection import InspectedEpisode, episode_name, read_episodes
from smolvla_ros.dataset.lerobot_format import INFO
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.finding import Finding, Report
from smolvla_ros.policy.preflight.dataset_check import check_dataset
from smolvla_ros.robot import RobotSpec
from smolvla_ros.suite.bag_options import bag_mapping
from smolvla_ros.suite.command_line import load_robot_and_calibration
from smolvla_ros.viewer.editing import EditableData
from smolvla_ros.worker_pool import Pool, begun


@dataclass(frozen=True, eq=False)
class CheckedData:
    """Episodes and the report on them, whose findings are not merged."""

    robot: RobotSpec
    episodes: tuple[InspectedEpisode, ...]
    report: Report


def checked_data(
    options: argparse.Namespace, paths: Sequence[Path], strict: bool = False, pool: Pool | None = None
) -> CheckedData:
    """Read and check datasets, bags and folders of bags.

    `options`: as of command_line.ROBOT and `add_bag_options`. An episode that cannot be read is a finding, with
    `strict` an error. `pool`: its processes read the episodes. Raises DataError, WireError, USAGE_ERRORS.
    """
    robot, calibration = load_robot_and_calibration(options)
    damaged: dict[str, Exception] = {}
    episodes: list[InspectedEpisode] = []
    findings: list[Finding] = []
    begin = partial(begun, pool) if pool else None
    units, mapping = robot.units(calibration), bag_mapping(options, robot)
    for path in dict.fromkeys(paths):
        unread: dict[str, Exception] = {}
        found = read_episodes(path, robot, units, mapping, options.time, None if strict else unread, begin)
        read = [
            replace(
                episode,
                name=_name(path, episode.name, len(paths)),
                tasks=episode.tasks if options.task is None else (options.task,),
            )
            for episode in tqdm(found, "check", unit=" episodes", disable=None, leave=False)
        ]
        if not read and not unread:
            raise DatasetError(f"'{path}' has no episodes")
        episodes += read
        damaged |= {_name(path, name, len(paths)): error for name, error in unread.items()}
        if (path / INFO).exists():  # a bag is in radians and has no statistics
            findings += check_dataset(path, robot, calibration, bool(options.units))
    findings += check_episodes(episodes, robot)
    findings += _unreadable(damaged)
    return CheckedData(
        robot,
        tuple(episodes),
        Report(measured_facts(episodes) if episodes else {}, tuple(findings)),
    )


def editable_data(paths: Sequence[Path]) -> EditableData | None:
    """What a page lets people edit, by the names of `checked_data`; None: some of it is bags."""
    inputs = tuple(dict.fromkeys(paths))
    if not all((path / INFO).exists() for path in inputs):
        return None
    names = [
        _name(path, episode_name(number), len(paths))
        for path in inputs
        for number in range(len(LeRobotDataset.load(path).episodes))
    ]
    named = tuple(path if path.name not in ("", "..") else path.resolve() for path in inputs)
    return EditableData(named, {name: number for number, name in enumerate(names)})


def _name(path: Path, name: str, paths: int) -> str:
    """The name of an episode among those of several paths."""
    if paths == 1:
        return name
    return str(path) if name == path.name else f"{path}: {name}"


def _unreadable(damaged: dict[str, Exception]) -> Iterator[Finding]:
    for name, error in damaged.items():
        remedy = f"{name} is not checked; leave it out or repair it"
        yield Finding("error", "unreadable", str(error), remedy, episode=name)
