# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many trials, on all cores: each process has its own policy and one thread."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from functools import cache
from typing import cast

from smolvla_ros.evaluation.conditions import Conditions
from smolvla_ros.evaluation.results import TrialResult
from smolvla_ros.evaluation.trial import EPISODE_SEEDS, LAYOUT_SEEDS, Trial
from smolvla_ros.policy.policy import Policy
from smolvla_ros.robot import RobotSpec
from smolvla_ros.settings import SettingError
from smolvla_ros.worker_pool import submit_all, worker_pool

PolicyLoader = Callable[[], Policy]  # is sent to the processes, so it must be picklable


def trial_seeds(seed: int, episodes: int) -> range:
    """Those of successive trials; raises SettingError where demonstrations could have the same layouts."""
    from smolvla_ros.simulation.demonstration_dataset import (
        SEEDS_OF_RUN,
    )  # here: no process of a pool needs it

    last = (SEEDS_OF_RUN - LAYOUT_SEEDS - episodes) // EPISODE_SEEDS
    if not 0 <= seed <= last:
        raise SettingError(f"--seed: expected 0 to {last} for {episodes} episodes, got {seed}")
    return range(seed * EPISODE_SEEDS, seed * EPISODE_SEEDS + episodes)


def run_trials(
    load: PolicyLoader,
    robot: RobotSpec,
    conditions: Conditions,
    seeds: Sequence[int],
    jobs: int,
    ray: str = "",
) -> Iterator[TrialResult]:
    """Results as they come, in any order, from a `worker_pool`. Raises the errors of loading the policy."""
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited; one thread a process is the most trials a second
    pickled_load = pickle.dumps(load)
    with worker_pool(jobs, ray) as pool:
        running = submit_all(pool, _run, [(pickled_load, robot, conditions, seed) for seed in seeds])
        for finished in as_completed(running):
            yield finished.result()


def _run(pickled_load: bytes, robot: RobotSpec, conditions: Conditions, seed: int) -> TrialResult:
    """One trial, in a process of the pool."""
    return Trial(_policy(pickled_load), robot, conditions).run(seed)


@cache
def _policy(pickled_load: bytes) -> Policy:
    """The policy of this process: loaded by its first trial, and then found by the equal bytes."""
    return cast(PolicyLoader, pickle.loads(pickled_load))()
