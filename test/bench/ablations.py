# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ablations of the paper that a CPU can afford: other action experts for the vision-language part of a checkpoint.

Each variant is trained on the same records with the same number of updates, and evaluated on the same layouts. Records,
checkpoints and results stay in --folder, so a run that was broken off goes on. --updates 20 --records 100 --episodes 2
tries the program out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from result_tables import BASE, HEAD, evaluated, load, policy_config, row, with_threshold_of

from smolvla_ros.evaluation.results import read_results
from smolvla_ros.evaluation.summary import Summary
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import find_robot_file, share_folder
from smolvla_ros.training.small.recipe import Recipe, run

INTERLEAVED = "interleaved, flow, 4 layers, chunk 16 at 10 Hz"
VARIANTS: dict[str, dict[str, Any]] = {
    INTERLEAVED: {},
    "cross-attention alone": {"self_attention_every": 0},
    "self-attention in all layers": {"self_attention_every": 1},
    "regression instead of flow": {"objective": "regression"},
    "2 of 4 layers": {"text_layers": 2},
    "3 of 4 layers": {"text_layers": 3},
    "chunk 4": {"chunk": 4},
    "chunk 8": {"chunk": 8},
    "chunk 50 at 30 Hz": {"chunk": 50, "rate_hz": 30.0},
}
FLOW_STEPS = (1, 2, 3, 10)  # of the first variant


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--encoder", default=str(share_folder() / "checkpoints" / "so100_tabletop"))
    parser.add_argument("--folder", type=Path, default=Path("build/ablations"), help="%(default)s")
    parser.add_argument("--records", type=int, default=100, help="%(default)s")
    parser.add_argument("--updates", type=int, default=20, help="of each variant; %(default)s")
    parser.add_argument("--episodes", type=int, default=2, help="for each row; %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="%(default)s")
    options = parser.parse_args()
    robot = RobotSpec.load(find_robot_file("so100"))
    print(HEAD)
    for name, changes in VARIANTS.items():
        checkpoint = trained(options, robot, name, changes)
        print_row(options, robot, name, checkpoint)
        if name == INTERLEAVED:
            for steps in FLOW_STEPS:
                print_row(options, robot, f"{steps} steps of the flow", with_flow_steps(checkpoint, steps))
    return 0


def trained(options: argparse.Namespace, robot: RobotSpec, name: str, changes: dict[str, Any]) -> Path:
    """The checkpoint of a variant. The first one collects the records of all."""
    folder, records = options.folder / name.replace(" ", "_"), options.folder / "records"
    collected = len(list(records.glob("*.npz"))) if records.exists() else 0
    recipe = Recipe(
        encoder=options.encoder,
        vision_steps=0,
        steps=0,
        expert_steps=options.updates,
        workers=0 if collected * Recipe.records_per_file >= options.records else options.jobs,
        first_records=options.records,
        max_records=options.records,
        network_acts_after=1.0,
        **changes,
    )
    records.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    if not (folder / "records").exists():
        (folder / "records").symlink_to(records.resolve())
    return run(recipe, folder, robot, share_folder() / "config" / "emulated_calibration.json")


def with_flow_steps(checkpoint: Path, steps: int) -> Path:
    """The same checkpoint with another number of steps from noise to actions."""
    copy = checkpoint.parent / f"checkpoint_{steps}_steps"
    shutil.copytree(checkpoint, copy, dirs_exist_ok=True)
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, "num_steps": steps}), encoding="utf-8")
    return copy


def print_row(options: argparse.Namespace, robot: RobotSpec, name: str, checkpoint: Path) -> None:
    path = checkpoint.with_suffix(".jsonl")
    known = read_results(path) if path.exists() else []
    policy = partial(load, policy_config(str(checkpoint)), robot)
    conditions = with_threshold_of(str(checkpoint), BASE)
    results = list(evaluated(policy, robot, conditions, options.episodes, options.jobs, known, path))
    print(row(name, Summary.of(results)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
