# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluate a policy in the stepped world: how often it does what it is told.

    evaluate --task pick_place --episodes 200 --seed 1 --json result.json

Each episode has a layout of its own, which no demonstration has. The policy runs behind the real executor, and its
chunks arrive --latency-s later. Prints success with its 95 % interval, wrong objects, time and smoothness.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from smolvla_ros.evaluation.conditions import Conditions
from smolvla_ros.evaluation.results import TrialResult, append_results, read_results
from smolvla_ros.evaluation.summary import report_lines, save_json
from smolvla_ros.evaluation.trial import Trial
from smolvla_ros.evaluation.trials import run_trials, trial_seeds
from smolvla_ros.nodes.policy_loading import load_policy
from smolvla_ros.policy.policy import Policy
from smolvla_ros.policy.policy_config import WITHOUT_CHECKPOINT, PolicyConfig
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import CHECKPOINT, share_folder
from smolvla_ros.suite.checkpoint_parameters import checkpoint_parameters
from smolvla_ros.suite.command_line import (
    ROBOT,
    add_options,
    add_settings,
    add_worker_options,
    exit_on_errors,
    load_robot,
    policy_config,
    positive_int,
    settings_of,
)
from smolvla_ros.suite.options import SuiteOptions

CHUNK_OPTIONS = ("noise_scale", "solver", "num_steps", "time_spacing")  # parameters of the policy node


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evaluate",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 done, 1 the checkpoint cannot be used, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("checkpoint", nargs="?", default=CHECKPOINT, help="folder, expert or scripted; %(default)s")
    add("--episodes", type=positive_int, default=100, metavar="N", help="%(default)s")
    add("--seed", type=int, default=1, metavar="N", help="of the layouts, from 0; %(default)s")
    add_worker_options(parser)
    either = parser.add_mutually_exclusive_group().add_argument
    either("--json", type=Path, metavar="FILE", help="write the rates to a file")
    add("--results", type=Path, metavar="FILE", help="add a line for each episode to this JSONL file")
    add("--report", type=Path, metavar="FOLDER", help="write a page with plots, episodes, films of failures")
    add("--films", type=int, default=6, metavar="N", help="failures that are filmed for it; %(default)s")
    add("--live", action="store_true", help="through the real nodes, in real time; one episode at a time")
    either("--score", type=Path, metavar="FILE", help="score and report such a file, run nothing")
    add_settings(parser, Conditions)
    add_options(parser, *ROBOT, "revision", "dataset", "stats", "backbone", "device", "dtype")
    add_options(parser, *CHUNK_OPTIONS, of=PolicyConfig)
    return parser


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, with the parameters that the checkpoint brings along as defaults."""
    with_defaults = parser()
    with_defaults.set_defaults(**checkpoint_parameters(with_defaults.parse_args(arguments).checkpoint))
    return with_defaults.parse_args(arguments)


def load(config: PolicyConfig, robot: RobotSpec) -> Policy:
    """The policy of one process."""
    return load_policy(config, robot, logging.getLogger("evaluate"))


@exit_on_errors("evaluate")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    known = (options.score.stem, read_results(options.score), None) if options.score else None
    name, results, trial = known or evaluate(options)
    print(*report_lines(results), sep="\n")
    if options.report:
        from smolvla_ros.evaluation.report import save_report  # here: needs matplotlib

        save_report(options.report, name, results, trial, options.films)
    return 0


def evaluate(options: argparse.Namespace) -> tuple[str, list[TrialResult], Trial | None]:
    """Run the episodes; returns a name, what they came to, and what repeats one, if it is wanted for a report."""
    conditions = settings_of(options, Conditions)
    robot = load_robot(options)
    config = _policy_config(options)
    seeds = trial_seeds(options.seed, options.episodes)
    results = []
    bar = tqdm(total=len(seeds), unit="episode", disable=not sys.stderr.isatty())
    with bar:
        if options.live:
            trials = live_trials(options, conditions, seeds)
        else:
            loader = partial(load, config, robot)
            trials = run_trials(loader, robot, conditions, seeds, options.jobs, options.ray)
        for result in trials:
            results.append(result)
            if options.results:
                append_results(options.results, [result])
            bar.update()
            bar.set_postfix(success=sum(done.success for done in results))
    name = config.checkpoint or config.policy
    if options.json:
        save_json(options.json, results, vars(conditions), options.seed, name)
    trial = Trial(load(config, robot), robot, conditions) if options.report else None
    return f"{conditions.task}: {name}", results, trial


def live_trials(options: argparse.Namespace, conditions: Conditions, seeds: range) -> Iterator[TrialResult]:
    """Through the real nodes."""
    from smolvla_ros.evaluation.live_trials import run_live_trials  # here: needs ROS

    given = {name: value for name, value in vars(options).items() if isinstance(value, str)}
    given["console"] = "false"
    if options.checkpoint in WITHOUT_CHECKPOINT:
        given |= {"policy": options.checkpoint, "checkpoint": ""}
    parameters = {name: getattr(options, name) for name in CHUNK_OPTIONS}
    return run_live_trials(SuiteOptions.from_text(given), conditions, seeds, parameters)


def _policy_config(options: argparse.Namespace) -> PolicyConfig:
    if options.checkpoint in WITHOUT_CHECKPOINT:
        return policy_config(options, policy=options.checkpoint, cameras=("top", "wrist"))
    given: dict[str, Any] = {"checkpoint": options.checkpoint}
    if not options.calibration:
        given["calibration"] = str(share_folder() / "config" / "emulated_calibration.json")
    return policy_config(options, threads=1, **given)


if __name__ == "__main__":
    sys.exit(main())
