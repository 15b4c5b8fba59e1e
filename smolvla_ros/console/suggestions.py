# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The instructions that the page offers before any was given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.console.messages import MessageError, SetTask

MAX_SUGGESTIONS = 30


def suggestions(given: Sequence[str], dataset: str) -> list[str]:
    """`given`, and of a LeRobot dataset folder (empty: none) the tasks that the page can send; at most 30 in all.

    Raises DatasetError if the dataset cannot be read.
    """
    found = list(given)
    if dataset:
        # here, because it loads pyarrow, which a console without a dataset does not need
        from smolvla_ros.dataset.lerobot_reader import LeRobotDataset

        found += filter(_can_be_sent, LeRobotDataset.load(Path(dataset).expanduser()).tasks)
    return list(dict.fromkeys(found))[:MAX_SUGGESTIONS]


def _can_be_sent(task: str) -> bool:
    try:
        SetTask(task)
    except MessageError:
        return False
    return bool(task)
