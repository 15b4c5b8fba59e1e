# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of a model become instructions that keep the paper's rule, or are left for a person; runs continue."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.curation.answer_file import read_answers, write_answers
from smolvla_ros.curation.task_annotation import (
    Annotation,
    Case,
    annotate,
    cases_by_episode,
    cases_by_task,
    instruction_of,
    instruction_problem,
)
from smolvla_ros.curation.vision_language_model import Question
from smolvla_ros.dataset.edited_dataset import HISTORY
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.tools.annotate_tasks import main

from ..package_files import CALIBRATION_FILE
from ..sample_bags import record
from ..training.small_dataset import write_small_dataset
from .answer_server import answer_server

PICTURE = np.zeros((8, 8, 3), np.uint8)
PROMPT = "Now '{task}', at most {characters}. {feedback}"


class Scripted:
    """A model that gives these answers, one after the other."""

    def __init__(self, answers: Sequence[str]) -> None:
        self._answers = iter(answers)
        self.texts: list[str] = []

    def answer(self, questions: Sequence[Question]) -> list[str]:
        self.texts += [question.text for question in questions]
        return [next(self._answers) for _ in questions]


@pytest.mark.parametrize(
    ("answer", "instruction"),
    [
        ("Pick up the red cube", "Pick up the red cube"),
        ('"pick up the red cube."\n\nThe arm moves ...', "Pick up the red cube"),
        ("**Open the drawer**", "Open the drawer"),
        ("The robot arm should pick up the cube", ""),
        ("Picking up the red cube and placing it in the box", ""),
        ("Picking up the red cube", "Pick up the red cube"),
        ("Please push the cube", "Push the cube"),
        ("Carefully push the cube", ""),
        ("Push the cube slowly", ""),
        ("The video shows a cube", ""),
        ("Move", ""),
        ("", ""),
    ],
)
def test_an_answer_keeps_the_rule_or_is_refused(answer: str, instruction: str) -> None:
    assert instruction_of(answer) == instruction
    assert not instruction or instruction_problem(instruction) == ""


def test_a_refused_answer_is_asked_for_again_with_the_reason() -> None:
    model = Scripted(["Move", "Open the drawer", "A cube", "Push the cube"])
    cases = [Case("task desc", ((0, 0),)), Case("Up", ((1, 0),))]
    made = annotate(model, cases, [PICTURE] * 2, PROMPT, 3)
    assert model.texts[0] == "Now 'task desc', at most 30."
    assert (
        model.texts[2]
        == "Now 'task desc', at most 30. Your last answer was \"Move\". It names no object. Answer again."
    )
    assert made[0].new == "Push the cube" and made[0].answers == ("Move", "A cube", "Push the cube")


def test_what_stays_wrong_is_left_for_a_person() -> None:
    [made] = annotate(Scripted(["Move"] * 2), [Case("Up", ((0, 0),))], [PICTURE], PROMPT, 2)
    assert made.new == "" and made.problem == "'Move' names no object"


def faulty_dataset(folder: Path) -> LeRobotDataset:
    return LeRobotDataset.load(
        write_small_dataset(folder, [12, 9, 8, 7], ["top"], tasks=["task desc", "Push the bar"])
    )


def test_cases_are_wordings_or_episodes(tmp_path: Path) -> None:
    dataset = faulty_dataset(tmp_path / "data")
    assert cases_by_task(dataset, 2) == [
        Case("task desc", ((2, 2), (2, 6))),
        Case("Push the bar", ((3, 1), (3, 5))),
    ]
    assert [(case.old, case.episode) for case in cases_by_episode(dataset, 2)] == [
        ("task desc", 0),
        ("Push the bar", 1),
        ("task desc", 2),
        ("Push the bar", 3),
    ]


def text_of(request: dict[str, Any]) -> str:
    return str(request["messages"][0]["content"][-1]["text"])


def test_a_dataset_is_reworded_and_keeps_the_old_wording(tmp_path: Path) -> None:
    dataset, output = faulty_dataset(tmp_path / "data"), tmp_path / "better"
    asked = []
    command = [str(dataset.root), "--output", str(output), "--yes", "--jobs", "1", "--url"]
    with answer_server(lambda request: asked.append(text_of(request)) or "Lift the bar") as url:
        assert main([*command, url]) == 0
    assert len(asked) == 1 and '"task desc"' in asked[0]  # the other task keeps the rule
    made = LeRobotDataset.load(output)
    assert made.tasks == ("Lift the bar", "Push the bar")
    assert np.array_equal(made.frames(2).state, dataset.frames(2).state)
    history = json.loads((output / HISTORY).read_text())
    assert history["edits"]["task_texts"] == {"task desc": "Lift the bar"}
    assert [episode["tasks"] for episode in history["episodes"]] == [["task desc"], ["Push the bar"]] * 2
    page = (tmp_path / "better.annotation" / "tasks.html").read_text()
    assert "Lift the bar" in page and "data:image/jpeg" in page


def test_a_run_continues_and_takes_what_a_person_wrote(tmp_path: Path) -> None:
    dataset, output = faulty_dataset(tmp_path / "data"), tmp_path / "better"
    command = [str(dataset.root), "--output", str(output), "--per", "episode", "--batch", "1", "--jobs", "1"]
    answers = iter(["Lift the bar", 503])
    with answer_server(lambda _: next(answers)) as url:
        assert main([*command, "--url", url]) == 1  # the server fails at the second of two episodes
    with answer_server(lambda _: "Move") as url:
        assert main([*command, "--url", url, "--attempts", "1", "--all", "--yes"]) == 1
    file = tmp_path / "better.annotation" / "tasks.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["case"], line["new"]) for line in lines[:2]] == [
        ("episode 0", "Lift the bar"),
        ("episode 1", ""),
    ]
    assert LeRobotDataset.load(output).tasks == ("Lift the bar", "Push the bar", "task desc")
    for line in lines:
        line["new"] = line["new"] or "Drop the bar"
    file.write_text("\n".join(map(json.dumps, lines)))
    for path in sorted(output.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert (
        main([*command, "--url", "http://127.0.0.1:9", "--all", "--yes"]) == 0
    )  # no question is left to ask
    assert LeRobotDataset.load(output).tasks == ("Lift the bar", "Drop the bar")


def test_nothing_is_written_without_a_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = faulty_dataset(tmp_path / "data")
    monkeypatch.setattr("smolvla_ros.terminal.prompt.Prompt.read_line", lambda *_: "n")
    with answer_server(lambda _: "Lift the bar") as url:
        assert main([str(dataset.root), "--output", str(tmp_path / "better"), "--url", url]) == 1
    assert not (tmp_path / "better").exists()


def test_bags_are_converted_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "bag", task="task desc")
    output = tmp_path / "better"
    command = [str(tmp_path / "bag"), "--output", str(output), "--yes", "--calibration", CALIBRATION_FILE]
    with answer_server(lambda _: "Lift the bar") as url:
        assert main([*command, "--url", url, "--jobs", "1"]) == 0
        shutil.rmtree(output)
        capsys.readouterr()
        assert main([*command, "--url", url, "--jobs", "1"]) == 0
    assert LeRobotDataset.load(output).tasks == ("Lift the bar",)
    assert "those converted before; if they have changed, remove" in capsys.readouterr().out


def test_answers_with_any_characters_are_read_again(tmp_path: Path) -> None:
    case = Case("task\u2028desc", ((0, 0),))
    file = tmp_path / "tasks.jsonl"
    made = [Annotation(case, "Lift the bar", ("a\x85b", "Lift the bar"))]
    write_answers(file, made)
    file.write_text(file.read_text(encoding="utf-8") + "\n\n", encoding="utf-8")  # as an editor may leave it
    assert read_answers(file, [case]) == made
