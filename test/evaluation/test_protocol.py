# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A protocol file is read strictly; errors name file, entry, key and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from smolvla_ros.evaluation.protocol import ProtocolError, ProtocolTask, load_protocol

from ..package_files import ROOT

VALID = "- task: wave\n"


def load(folder: Path, text: str) -> tuple[ProtocolTask, ...]:
    file = folder / "mine.yaml"
    file.write_text(text)
    return load_protocol(file)


def test_the_example_compares_asynchronous_with_synchronous_inference() -> None:
    tasks = load_protocol(ROOT / "config" / "protocol_example.yaml")
    assert [task.trigger for task in tasks] == ["threshold", "sync"]
    assert all(task.setup and task.stages == {"grasped": 0.5, "placed": 0.5} for task in tasks)


def test_all_but_the_task_may_be_left_out(tmp_path: Path) -> None:
    assert load(tmp_path, VALID) == (ProtocolTask("wave"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"'.*mine.yaml': expected a list of tasks, .* got None"),
        ("task: wave", "expected a list of tasks"),
        ("- [", "is not valid YAML"),
        ("[" * 5000, "is not valid YAML"),
        ("- wave", "entry 1: expected a table that begins with 'task: ...', got 'wave'"),
        (VALID + "- repetitions: 3", "entry 2: task: it is empty; give an instruction"),
        ("- task: 5", "task: 5 is not text"),
        ('- task: "a\\nb"', "task: .* line break"),
        ("- task: " + "x" * 301, "task: .* more than 300 characters"),
        ("- task: wave\n  repetition: 3", "unknown key 'repetition' .*did you mean 'repetitions'"),
        ("- task: wave\n  1: 3", "unknown key '1'"),
        ("- task: wave\n  repetitions: 0", "repetitions: 0 is outside 1 .. 1000"),
        ("- task: wave\n  repetitions: true", "repetitions: True is not a whole number"),
        ("- task: wave\n  limit_s: .nan", "limit_s: nan is outside"),
        ("- task: wave\n  limit_s: long", "limit_s: 'long' is not a number of seconds"),
        ("- task: wave\n  trigger: async", "trigger: 'async' is not one of threshold, auto, sync"),
        ("- task: wave\n  stages: [grasped]", "stages: .* is not a table such as"),
        ("- task: wave\n  stages: {grasped: 0.5}", "points of grasped add up to 0.5; they must add up to 1"),
        ("- task: wave\n  stages: {grasped: much}", "grasped: 'much' is not a number above 0"),
        ("- task: wave\n  stages: {grasped: .nan}", "grasped: nan is not a number above 0"),
        ("- task: wave\n  stages: {1: 1}", "stages: 1 is no name"),
        (VALID * 2, "entry 2: another entry has the task 'wave' .* raise its repetitions"),
    ],
)
def test_an_error_says_where_and_what(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"protocol '.*none.yaml' cannot be read: No such file"):
        load_protocol(tmp_path / "none.yaml")
