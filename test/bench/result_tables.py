# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/results.md: a policy's success by task, wording, disturbance and latency, and by fusion.

Every row is one evaluation on the same layouts. Rows that are in the results file are not run again, so a run that was
broken off goes on. --episodes 4 tries the program out.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from smolvla_ros.evaluation.conditions import Conditions
from smolvla_ros.evaluation.results import TrialResult, append_results, read_results
from smolvla_ros.evaluation.summary import Summary
from smolvla_ros.evaluation.trials import run_trials
from smolvla_ros.nodes.policy_loading import load_policy
from smolvla_ros.policy.policy import Policy
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import find_robot_file, share_folder
from smolvla_ros.suite.checkpoint_parameters import checkpoint_parameters

SEED = 500_000  # of the first layout
BASE = Conditions()
TABLES: dict[str, dict[str, Conditions]] = {
    "Tasks": {task: replace(BASE, task=task) for task in ("pick_place", "pick_up", "touch", "stack", "sort")},
    "In and out of distribution, pick_place": {
        "as in training": BASE,
        "wordings not in training": replace(BASE, wordings="held_out"),
        "one more cube on the table": replace(BASE, distractors=1),
        "the cube is pushed after 1 s": replace(BASE, moved_after_s=1.0),
        "other light, colours, table and cameras": replace(BASE, appearance=1.0),
        "instruction about a random cube": replace(BASE, instruction="shuffled"),
    },
    "Synchronous and asynchronous, pick_place": {
        f"{trigger}, latency {latency_s:g} s": replace(BASE, trigger=trigger, latency_s=latency_s)
        for latency_s in (0.0, 0.2, 0.5, 1.0)
        for trigger in ("sync", "threshold")
    },
    "Fusions, pick_place, latency 0.2 s": {
        fusion: replace(BASE, fusion=fusion, latency_s=0.2)
        for fusion in ("smooth", "replace", "weighted_average", "linear_blend", "temporal_ensemble")
    },
}


def load(config: PolicyConfig, robot: RobotSpec) -> Policy:
    return load_policy(config, robot, logging.getLogger("result_tables"))


HEAD = """
| | success | score | median time | wrong object | dropped | starved | roughness |
|---|---|---|---|---|---|---|---|"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--checkpoint", default="expert", help="checkpoint or expert; %(default)s")
    parser.add_argument("--episodes", type=int, default=4, help="for each row; %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="%(default)s")
    parser.add_argument("--table", default="", help="only tables whose title begins so")
    parser.add_argument("--results", type=Path, help="JSONL file of the episodes")
    options = parser.parse_args()
    robot = RobotSpec.load(find_robot_file("so100"))
    policy = partial(load, policy_config(options.checkpoint), robot)
    known = read_results(options.results) if options.results and options.results.exists() else []
    for title, rows in TABLES.items():
        if not title.startswith(options.table):
            continue
        print(f"\n### {title}\n{HEAD}")
        for name, default in rows.items():
            conditions = with_threshold_of(options.checkpoint, default)
            results = list(
                evaluated(policy, robot, conditions, options.episodes, options.jobs, known, options.results)
            )
            print(row(name, Summary.of(results)), flush=True)
    return 0


def policy_config(checkpoint: str) -> PolicyConfig:
    calibration = str(share_folder() / "config" / "emulated_calibration.json")
    if checkpoint == "expert":
        return PolicyConfig(policy="expert", cameras=("top", "wrist"))
    own = {name: value for name, value in checkpoint_parameters(checkpoint).items() if name == "noise_scale"}
    return PolicyConfig(checkpoint=checkpoint, calibration=calibration, threads=1, **own)


def with_threshold_of(checkpoint: str, conditions: Conditions) -> Conditions:
    """The conditions with the threshold that the checkpoint brings along, if it does."""
    return replace(
        conditions, threshold=checkpoint_parameters(checkpoint).get("threshold", conditions.threshold)
    )


def evaluated(
    policy: partial[Policy],
    robot: RobotSpec,
    conditions: Conditions,
    episodes: int,
    jobs: int,
    known: list[TrialResult],
    path: Path | None,
) -> Iterator[TrialResult]:
    """The results of the first layouts: known ones, then those of new trials, which become known."""
    found = {result.seed: result for result in known if result.conditions == asdict(conditions)}
    seeds = range(SEED, SEED + episodes)
    yield from (found[seed] for seed in seeds if seed in found)
    for result in run_trials(policy, robot, conditions, [seed for seed in seeds if seed not in found], jobs):
        known.append(result)
        if path:
            append_results(path, [result])
        yield result


def row(name: str, summary: Summary) -> str:
    cells = (
        str(summary.success),
        f"{summary.score:.2f}",
        f"{summary.median_s:.1f} s",
        f"{100 * summary.wrong_object.value:.1f} %",
        f"{100 * summary.dropped.value:.1f} %",
        f"{100 * summary.starved:.1f} %",
        f"{1000 * summary.roughness:.1f} mrad",
    )
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
