# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many trials, on all cores: each process has its own policy and one thread."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from smolvla_ros.evaluation.conditions import Conditions
from smolvla_ros.evaluation.trial import Trial, TrialResult
from smolvla_ros.policy.policy import Policy
from smolvla_ros.robot import RobotSpec


class ResultsError(ValueError):
    """A file of results cannot be read."""


PolicyLoader = Callable[[], Policy]  # is sent to the processes, so it must be picklable

# Of this process. It is loaded by its first trial, because an error in a pool's initializer is lost.
_load_policy: PolicyLoader | None = None
_policy: Policy | None = None


def run_trials(
    load: PolicyLoader, robot: RobotSpec, conditions: Conditions, seeds: Sequence[int], jobs: int
) -> Iterator[TrialResult]:
    """Results as they come, in any order. Raises the errors of loading the policy."""
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited; one thread a process is the most trials a second
    pool = ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_set_loader, initargs=(load,)
    )
    with pool:
        running = [pool.submit(_run, robot, conditions, seed) for seed in seeds]
        try:
            for finished in as_completed(running):
                yield finished.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def append_results(path: Path, results: Sequence[TrialResult]) -> None:
    """Add a line for each result to a JSONL file."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(result)) + "\n" for result in results)


def read_results(path: Path) -> list[TrialResult]:
    """The results in a JSONL file; raises ResultsError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        results = [TrialResult(**json.loads(line)) for line in lines if line]
    except (ValueError, TypeError) as error:
        raise ResultsError(f"'{path}' is no file of results, as --results writes it: {error}") from error
    if not results:
        raise ResultsError(f"'{path}' has no results")
    return results


def _set_loader(load: PolicyLoader) -> None:
    global _load_policy  # noqa: PLW0603  a process pool has no other place
    _load_policy = load


def _run(robot: RobotSpec, conditions: Conditions, seed: int) -> TrialResult:
    global _policy  # noqa: PLW0603
    assert _load_policy is not None
    _policy = _policy or _load_policy()
    return Trial(_policy, robot, conditions).run(seed)
