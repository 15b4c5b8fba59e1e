# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trials of a protocol: their order, time limit, outcomes, log, and what cannot be done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.console.trial_facts import trial_facts
from smolvla_ros.evaluation import results
from smolvla_ros.evaluation.protocol import ProtocolTask
from smolvla_ros.evaluation.protocol_run import Phase, ProtocolRun, TrialError
from smolvla_ros.evaluation.results import ResultsError, ResultsLog, read_results
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.tools import evaluate

from ..executor_state import executor_state

PLACE = ProtocolTask("place", "cube on A", 2, 10.0, "sync", {"grasped": 0.5, "placed": 0.5})
WAVE = ProtocolTask("wave", repetitions=1, limit_s=5.0)
ARMED = executor_state()
LATER = executor_state(commands=1100, chunks_accepted=44, starved_periods=22)


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "trials.jsonl"


@pytest.fixture
def run(log_file: Path) -> ProtocolRun:
    return ProtocolRun([PLACE, WAVE], ResultsLog(log_file))


def try_once(run: ProtocolRun, success: bool = True, *stages: str, failures: tuple[str, ...] = ()) -> Any:
    """A trial of 3 s."""
    run.begin(100.0, ARMED)
    run.end(103.0, LATER)
    return run.judge(success, stages, failures)


def test_each_task_is_tried_as_often_as_it_says_and_then_the_next(run: ProtocolRun) -> None:
    tried = []
    while run.task is not None:
        tried.append(run.task)
        try_once(run)
    assert tried == [PLACE, PLACE, WAVE]
    assert (run.phase, run.done, run.total) == (Phase.DONE, 3, 3)
    with pytest.raises(TrialError, match="all trials are done"):
        run.begin(0.0, ARMED)


def test_a_success_is_a_record_as_of_a_simulated_trial(run: ProtocolRun) -> None:
    run.add_command(np.zeros(6))  # before the trial: does not count
    run.begin(100.0, ARMED)
    for position in (0.0, 0.1, 0.4):
        run.add_command(np.full(6, position))
    run.end(103.0, LATER)
    result = run.judge(True, [], ["dropped"])
    assert (result.success, result.score, result.time_s, result.dropped, result.stuck) == (
        True, 1.0, 3.0, True, False,
    )  # fmt: skip
    assert (result.instruction, result.said, result.seed) == ("place", "place", 0)
    assert result.reached == PLACE.stages and result.conditions["trigger"] == "sync"
    assert (result.periods, result.chunks, result.starved_periods) == (100, 3, 10)
    assert result.roughness == pytest.approx(0.2)


def test_a_failure_has_the_points_of_its_stages_and_its_classes(run: ProtocolRun) -> None:
    result = try_once(run, False, "grasped", failures=("wrong_object", "unsafe"))
    assert (result.success, result.score, result.time_s, result.reached) == (
        False, 0.5, None, {"grasped": 0.5},
    )  # fmt: skip
    assert result.wrong_object and result.unsafe and not result.dropped


@pytest.mark.parametrize(
    ("after_s", "state", "ends"),
    [
        (9.9, ArmingState.ARMED, False),
        (9.9, ArmingState.HOLDING, False),
        (10.0, ArmingState.ARMED, True),
        (1.0, ArmingState.STOPPED, True),
        (1.0, ArmingState.FAULT, True),
    ],
)
def test_a_trial_ends_at_its_limit_and_when_the_arm_is_stopped(
    run: ProtocolRun, after_s: float, state: ArmingState, ends: bool
) -> None:
    run.begin(100.0, ARMED)
    assert run.update(100.0 + after_s, executor_state(state=state)) is ends
    assert run.phase is (Phase.ENDED if ends else Phase.RUNNING)
    assert run.elapsed_s(200.0) == (after_s if ends else 10.0)
    assert not run.update(200.0, executor_state()) or not ends  # it ends once


@pytest.mark.parametrize("state", [None, executor_state(state=ArmingState.DISARMED)])
def test_nothing_begins_without_an_armed_executor(run: ProtocolRun, state: Any) -> None:
    with pytest.raises(TrialError, match="is not armed"):
        run.begin(0.0, state)
    assert run.phase is Phase.READY and run.elapsed_s(1.0) is None


def test_steps_out_of_order_are_refused_and_change_nothing(run: ProtocolRun, log_file: Path) -> None:
    with pytest.raises(TrialError, match="begin one"):
        run.end(0.0, ARMED)
    with pytest.raises(TrialError, match="no trial waits"):
        run.judge(True, [], [])
    with pytest.raises(TrialError, match="no outcome"):
        run.undo()
    run.begin(0.0, ARMED)
    with pytest.raises(TrialError, match="begun already"):
        run.begin(0.0, ARMED)
    with pytest.raises(TrialError, match="end it first"):
        run.undo()
    run.end(1.0, ARMED)
    with pytest.raises(TrialError, match="no stage 'flown'; it has grasped, placed"):
        run.judge(False, ["flown"], [])
    assert run.phase is Phase.ENDED and not log_file.read_text()


def test_a_run_continues_from_its_log_after_a_restart(run: ProtocolRun, log_file: Path) -> None:
    try_once(run)
    try_once(run, False)
    run.begin(0.0, ARMED)  # the console is killed
    again = ProtocolRun([PLACE, WAVE], ResultsLog(log_file))
    assert (again.task, again.phase, again.done) == (WAVE, Phase.READY, 2)
    assert try_once(again).seed == 2
    assert [result.success for result in read_results(log_file)] == [True, False, True]
    more = ProtocolRun([ProtocolTask("place", "cube on B"), WAVE], ResultsLog(log_file))
    assert more.task is not None and more.done == 1  # another set-up is another task


def test_undo_removes_the_last_outcome_or_forgets_the_trial(run: ProtocolRun, log_file: Path) -> None:
    try_once(run)
    try_once(run)
    assert run.task == WAVE
    run.undo()
    assert run.task == PLACE and len(read_results(log_file)) == 1
    run.begin(0.0, ARMED)
    run.end(1.0, ARMED)
    run.undo()
    assert run.phase is Phase.READY and len(read_results(log_file)) == 1
    run.undo()
    assert not log_file.read_text() and not run.can_undo
    other = ProtocolRun([WAVE], ResultsLog(log_file))
    try_once(other)
    assert not ProtocolRun([PLACE], other.log).can_undo  # an outcome of another protocol


def test_an_outcome_that_cannot_be_written_can_be_given_again(
    run: ProtocolRun, log_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(path: Path, _results: object) -> None:
        path.write_text(path.read_text() + '{"seed": ')
        raise OSError("No space left on device")

    try_once(run)
    with monkeypatch.context() as patch:
        patch.setattr(results, "append_results", write_half)
        with pytest.raises(OSError, match="No space"):
            try_once(run)
    run.judge(True, [], [])
    assert len(read_results(log_file)) == len(run.log.results) == 2


def test_a_log_that_is_none_is_refused(log_file: Path) -> None:
    log_file.parent.mkdir()
    log_file.write_text("{}\n")
    with pytest.raises(ResultsError, match="is no file of results"):
        ResultsLog(log_file)


def test_the_page_gets_json_without_nan(run: ProtocolRun) -> None:
    assert trial_facts(run, "")["table"] == []
    try_once(run, False, "grasped", failures=("stuck",))
    facts = json.loads(json.dumps(trial_facts(run, "note"), allow_nan=False))
    assert (facts["phase"], facts["done"], facts["total"], facts["setup"]) == ("ready", 1, 3, "cube on A")
    [row] = facts["table"]
    assert (row["task"], row["n"], row["score"], row["median_s"]) == ("place (sync)", 1, 0.5, None)
    assert (row["low"], row["high"], row["failures"]["stuck"]) == (0.0, 0.7935, 1)


def test_evaluate_scores_and_draws_the_log(
    run: ProtocolRun, log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for success in (True, False, True):
        try_once(run, success, failures=() if success else ("unsafe",))
    report = log_file.parent / "report"
    assert evaluate.main(["--score", str(log_file), "--report", str(report)]) == 0
    printed = capsys.readouterr().out
    assert "66.7 % (2 of 3" in printed and "place (sync)" in printed and "wave (threshold)" in printed
    assert "unsafe" in printed
    page = (report / "index.html").read_text()
    assert "trials" in page and "live True" in page and "setup" not in page.partition("Conditions")[2]
    assert (report / "rates.png").stat().st_size > 1000
