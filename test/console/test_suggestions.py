# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the page offers: given instructions and the tasks of a dataset, each once, and only what it can send."""

from __future__ import annotations

from pathlib import Path

import pytest

from smolvla_ros.console.suggestions import MAX_SUGGESTIONS, suggestions
from smolvla_ros.dataset.errors import DatasetError

from ..training.small_dataset import write_small_dataset


def test_without_a_dataset_they_are_those_that_are_given() -> None:
    assert suggestions(("wave", "stop", "wave"), "") == ["wave", "stop"]
    assert len(suggestions([str(number) for number in range(100)], "")) == MAX_SUGGESTIONS


def test_the_tasks_of_a_dataset_follow_if_the_page_can_send_them(tmp_path: Path) -> None:
    tasks = ["Lift the bar", "wave", "two\nlines", "x" * 301]
    dataset = write_small_dataset(tmp_path / "data", [5] * len(tasks), tasks=tasks)
    assert suggestions(["wave"], str(dataset)) == ["wave", "Lift the bar"]


def test_a_dataset_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        suggestions([], str(tmp_path))
