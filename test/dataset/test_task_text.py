# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Problems of instructions, and instructions rewritten with their own words."""

from __future__ import annotations

import pytest

from smolvla_ros.dataset.task_text import suggest_task, task_problem


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        ("task desc", "is a placeholder"),
        ("task_1", "is a placeholder"),
        ("", "is a placeholder"),
        ("Move", "names no object"),
        ("the red cube", "does not begin with a verb"),
        ("Pick up the red cube and place it in the box", "has 44 characters"),
    ],
)
def test_problems_are_named(task: str, fault: str) -> None:
    assert fault in task_problem(task)


@pytest.mark.parametrize("task", ["Pick up the cube", "Open the drawer", "put the cube in the box"])
def test_good_instructions_have_no_problem(task: str) -> None:
    assert task_problem(task) == "" and suggest_task(task).lower() in ("", task.lower())


@pytest.mark.parametrize(
    ("task", "better"),
    [
        ("picking up the cube", "Pick up the cube"),
        ("The robot should grasp a block.", "Grasp a block"),
        ("please place the yellow block in the bin", "Place yellow block in bin"),
        ("stacks the blocks", "Stack the blocks"),
        ("Move the blue block to the left", "Move blue block to left"),
        ("Move", ""),
        ("task desc", ""),
        ("würfel aufheben", ""),
    ],
)
def test_a_suggestion_is_made_only_of_the_tasks_own_words(task: str, better: str) -> None:
    assert suggest_task(task) == better
    assert not better or task_problem(better) == ""


@pytest.mark.parametrize(
    "task",
    [
        "Pick up the red cube and place it in the box",
        "Pick up the yellow cube and put it on the left",
        "Take the red cube from the blue box",
        "Pick up the cube with the red dots on it",
        "Sort the cubes until the table is empty",
        "Move block a to the left of block b",
        "Screws in the box",
        "Painted cube on the left",
    ],
)
def test_no_suggestion_leaves_out_or_changes_what_is_asked_for(task: str) -> None:
    shorter = suggest_task(task).lower().split()
    assert not shorter or shorter == [word for word in task.lower().split() if word != "the"]
