# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rates, their intervals, and files of results."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from smolvla_ros.evaluation.results import TrialResult, append_results, read_results
from smolvla_ros.evaluation.summary import Rate, Summary, by_task, report_lines, save_json

RESULT = TrialResult(
    seed=1,
    instruction="Pick up the red cube",
    said="Pick up the red cube",
    success=True,
    score=1.0,
    time_s=3.0,
    wrong_object=None,
    dropped=False,
    stuck=False,
    hit_table=False,
    reached={"grasped": 0.5, "lifted": 0.5},
    chunks=4,
    starved_periods=0,
    periods=100,
    roughness=0.001,
)
FAILURE = replace(
    RESULT,
    instruction="Pick up the Blue cube",
    success=False,
    score=0.0,
    time_s=None,
    wrong_object="red_cube",
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (92, 100, 0.8500, 0.9589),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
    ],  # published tables of Wilson's score
)
def test_the_interval_is_wilsons(successes: int, n: int, low: float, high: float) -> None:
    assert Rate(successes, n).interval == pytest.approx((low, high), abs=1e-4)


def test_a_summary_counts_each_kind_of_failure() -> None:
    summary = Summary.of([RESULT, RESULT, replace(RESULT, time_s=5.0), FAILURE])
    assert summary.success == Rate(3, 4) and summary.wrong_object == Rate(1, 4)
    assert summary.score == 0.75 and summary.median_s == 3.0


def test_success_is_given_for_each_colour_that_is_meant() -> None:
    tasks = by_task([RESULT, RESULT, FAILURE])
    assert {name: task.success for name, task in tasks.items()} == {"blue": Rate(0, 1), "red": Rate(2, 2)}


def test_nothing_is_no_success() -> None:
    assert math.isnan(Summary.of([]).success.value)
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_a_file_of_rates_is_json_where_nothing_has_succeeded(tmp_path: Path) -> None:
    save_json(tmp_path / "rates.json", [replace(FAILURE, periods=0)], {"task": "pick_up"}, 1, "expert")
    found = json.loads((tmp_path / "rates.json").read_text(), parse_constant=pytest.fail)
    assert found["success"] == 0.0 and found["median_time_s"] is None and found["starved"] is None


def test_results_can_be_scored_again_from_their_file(tmp_path: Path) -> None:
    append_results(tmp_path / "results.jsonl", [RESULT])
    append_results(tmp_path / "results.jsonl", [FAILURE])
    results = read_results(tmp_path / "results.jsonl")
    assert results == [RESULT, FAILURE]
    assert "50.0 % (1 of 2" in report_lines(results)[0]


def test_what_hours_of_trials_came_to_is_not_lost_for_want_of_a_folder(tmp_path: Path) -> None:
    save_json(tmp_path / "a" / "b" / "rates.json", [RESULT], {"task": "pick_up"}, 1, "expert")
    append_results(tmp_path / "c" / "results.jsonl", [RESULT])
    assert (tmp_path / "a" / "b" / "rates.json").exists()
    assert read_results(tmp_path / "c" / "results.jsonl") == [RESULT]
