# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a demo run and the problems because of which it counts as failed."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest

from smolvla_ros.dataset.stream_timing import ImageCount
from smolvla_ros.demo.observed_run import ObservedRun
from smolvla_ros.demo.summary import Summary, summarize
from smolvla_ros.robot import RobotSpec
from smolvla_ros.suite.processes import ExitStatus

SECOND = 1_000_000_000


@pytest.fixture
def summary(run: ObservedRun) -> Summary:
    return summarize(run, "wave", SECOND, 3 * SECOND, {"arm": ExitStatus(0), "policy": ExitStatus(0)})


def test_counters_start_with_the_run(summary: Summary) -> None:
    assert summary.chunks_accepted == 4
    assert summary.chunks_rejected == {"not_finite": 1}
    assert summary.starved_periods == 7


def test_figures_are_computed_from_the_run(summary: Summary) -> None:
    assert summary.duration_s == 2.0
    assert summary.policy == "tiny@0"
    assert (summary.commands, summary.command_rate_hz) == (61, pytest.approx(30.0))
    assert summary.command_period_error_p99_ms == pytest.approx(0.0, abs=1e-3)
    assert summary.joint_state_rate_hz == pytest.approx(50.0)
    assert summary.cameras == {"top": ImageCount(61, 61), "wrist": ImageCount(61, 58)}
    assert json.loads(summary.to_json())["cameras"]["wrist"] == {"expected": 61, "received": 58, "dropped": 3}
    assert summary.inference_p50_s == pytest.approx(0.35)
    assert summary.moved_deg["gripper"] == pytest.approx(11.459, abs=0.01)


def test_a_good_run_has_no_problem(summary: Summary) -> None:
    assert summary.problems == []
    assert "PROBLEM" not in summary.to_text()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"chunks_accepted": 0}, "no chunk"),
        ({"exit_codes": {"arm": 1}}, "arm ended with exit code 1"),
        ({"exit_codes": {"arm": -9}, "killed": ["arm"]}, "arm did not end by itself"),
    ],
)
def test_a_failure_is_listed_once_as_a_problem(
    summary: Summary, change: dict[str, object], word: str
) -> None:
    bad = dataclasses.replace(summary, **change)  # type: ignore[arg-type]
    assert len(bad.problems) == 1 and word in bad.problems[0]
    assert word in bad.to_text()


def test_the_text_fits_one_screen(summary: Summary) -> None:
    lines = summary.to_text().splitlines()
    assert len(lines) <= 24
    assert any(
        line.split() == ["wrist", "58", "of", "61", "images", "received,", "3", "dropped"] for line in lines
    )
    assert any("4 accepted, 1 rejected (not_finite 1)" in line for line in lines)


def test_an_empty_run_gives_valid_json(robot: RobotSpec) -> None:
    nothing = summarize(ObservedRun(robot.joint_names, {"top": 30.0}), "wave", SECOND, SECOND, {})
    values = json.loads(nothing.to_json())
    assert values["command_rate_hz"] is None
    assert values["problems"] == ["the executor accepted no chunk"]
    assert "nan" not in nothing.to_text()


DONE = {"task": "a", "success": True, "success_time": 3.64, "score": 1.0}


@pytest.mark.parametrize(
    ("tasks", "text"),
    [
        ([DONE], "1 of 1 done, in 3.6 s (median), wrong object 0, dropped 0"),
        (
            [DONE, {"task": "b", "score": 0.5, "elapsed": 9.0, "wrong_object": "red_cube"}],
            "1 of 2 done, in 3.6 s (median), wrong object 1, dropped 0, the last one got 0.50 in 9.0 s",
        ),
        (
            [{"task": "b", "dropped": True}],
            "0 of 1 done, wrong object 0, dropped 1, the last one got 0.00 in 0.0 s",
        ),
        ([{"reason": "'make coffee' is none of the tasks"}], "'make coffee' is none of the tasks"),
    ],
)
def test_the_tasks_of_a_simulated_world_are_counted_in_the_summary(
    run: ObservedRun, tasks: list[dict[str, object]], text: str
) -> None:
    values = {"task": "", "reason": "", "score": 0.0, "success": False, "wrong_object": "", "dropped": False}
    for number, fields in enumerate(tasks, start=1):
        begun = SimpleNamespace(**(values | {"task": fields.get("task", ""), "tasks": number}))
        ended = SimpleNamespace(**(values | {"elapsed": 0.0, "tasks": number} | fields))
        run.add_task_progress(begun)
        run.add_task_progress(ended)
    summary = summarize(run, "t", 0, SECOND, {})
    assert summary.task_result == text
    assert f"tasks         {text}" in summary.to_text().splitlines()
    assert summary.tasks_tried == len([fields for fields in tasks if "task" in fields])
