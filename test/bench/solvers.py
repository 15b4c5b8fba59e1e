# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a chunk is from the converged flow, by solver and number of evaluations of its velocity.

The observations are those for which the shipped checkpoint is asked in trials in the simulated world. Every setting
starts from the same noise and the same prefix; the reference takes 200 Euler steps. The distance of a chunk is the root
mean square over its actions, in their standard deviations.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from smolvla_ros.arrays import Float32Array, ImageArray
from smolvla_ros.evaluation.conditions import Conditions
from smolvla_ros.evaluation.trial import Trial
from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.robot_policy import RobotPolicy
from smolvla_ros.policy.smolvla.flow_solver import SOLVERS, FlowSolver
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import CHECKPOINT, find_robot_file, share_folder
from smolvla_ros.units import load_calibration

EVALUATIONS = (1, 2, 3, 4, 5, 6, 8, 10, 16)
ROWS = [*((name, 1.0) for name in SOLVERS), ("adams_bashforth_2", 1.5)]  # with their time_spacing
CONVERGED, LEROBOT = FlowSolver(200), FlowSolver(10)
FIRST_SEED = 700_000
PER_TRIAL = 6  # observations, evenly spaced


class Observed(NamedTuple):
    """What a checkpoint is asked."""

    images: Mapping[str, ImageArray]
    state: Float32Array
    task: str


class Recorder:
    """A checkpoint that keeps what it is asked."""

    def __init__(self, model: SmolVLA) -> None:
        self._model = model
        self.asked: list[Observed] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict_chunk(
        self, images: Mapping[str, ImageArray], state: Float32Array, task: str, **options: Any
    ) -> Float32Array:
        self.asked.append(Observed(images, state, task))
        return self._model.predict_chunk(images, state, task, **options)


def observations(count: int) -> list[Observed]:
    """From trials of the shipped checkpoint, as it is run by default."""
    robot = RobotSpec.load(find_robot_file("so100"))
    calibration = load_calibration(share_folder() / "config" / "emulated_calibration.json", robot.joint_names)
    model = SmolVLA.from_pretrained(CHECKPOINT, device="cpu", dtype="float32")
    model.noise_scale = 0.0
    found: list[Observed] = []
    for seed in range(FIRST_SEED, FIRST_SEED + -(-count // PER_TRIAL)):
        recorder = Recorder(model)
        policy = RobotPolicy(recorder, robot, calibration)
        Trial(policy, robot, Conditions(threshold=0.3, limit_s=8.0)).run(seed)
        last = len(recorder.asked) - 1
        found += [recorder.asked[index] for index in np.linspace(0, last, PER_TRIAL).round().astype(int)]
    return found[:count]


def solvers() -> Iterator[FlowSolver]:
    """Every row of `ROWS` with every number of evaluations that it can have."""
    for name, spacing in ROWS:
        each = len(SOLVERS[name].offsets)
        yield from (FlowSolver(count // each, name, spacing) for count in EVALUATIONS if count % each == 0)


@torch.inference_mode()
def distances(model: SmolVLA, observed: list[Observed], noise_scale: float) -> dict[FlowSolver, Tensor]:
    """For each solver the distance of its actions from the converged ones, (observations,): root mean square."""
    found: dict[FlowSolver, list[Tensor]] = {solver: [] for solver in solvers()}
    network = model.network
    for index, question in enumerate(observed):
        noise = torch.randn(
            (1, model.chunk_size, model.config.max_action_dim), generator=torch.Generator().manual_seed(index)
        )
        inputs = model.prepare(*question)
        context = network.encode_prefix(
            inputs.images, inputs.image_valid, inputs.tokens, inputs.tokens_valid, inputs.state, False
        )

        def actions(solver: FlowSolver, context=context, noise=noise) -> Tensor:
            network.solver = solver
            return network.sample(context, noise_scale * noise)[0, :, : model.action_dim]

        converged = actions(CONVERGED)
        for solver, kept in found.items():
            kept.append((actions(solver) - converged).square().mean().sqrt())
    return {solver: torch.stack(kept) for solver, kept in found.items()}


def print_table(title: str, cells: Mapping[FlowSolver, str]) -> None:
    """Rows: methods; columns: evaluations."""
    print(f"\n{title}\n\n|  | {' | '.join(map(str, EVALUATIONS))} |\n|---|{'--:|' * len(EVALUATIONS)}")
    by_place = {(s.method, s.time_spacing, len(s.times)): cell for s, cell in cells.items()}
    for name, spacing in ROWS:
        row = (by_place.get((name, spacing, count), "") for count in EVALUATIONS)
        label = name if spacing == 1.0 else f"{name}, time_spacing {spacing:g}"
        print(f"| {label} | {' | '.join(row)} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--checkpoint", default=CHECKPOINT, help="%(default)s")
    parser.add_argument(
        "--backbone", help="folder with the config and tokenizer of its vision-language model"
    )
    parser.add_argument("--observations", type=int, default=24, metavar="N", help="%(default)s")
    parser.add_argument("--noise-scale", type=float, nargs="+", default=[0.0, 1.0], help="0 and 1")
    options = parser.parse_args()
    observed = observations(options.observations)
    model = SmolVLA.from_pretrained(options.checkpoint, "cpu", "float32", backbone=options.backbone)
    print(f"{model.name}, {len(observed)} observations; columns: evaluations of the velocity")
    for scale in options.noise_scale:
        found = distances(model, observed, scale)
        middle = {solver: f"{errors.median():.3f}" for solver, errors in found.items()}
        mean = {solver: f"{errors.mean():.3f}" for solver, errors in found.items()}
        nearer = {s: f"{100 * (e <= found[LEROBOT]).float().mean():.0f}" for s, e in found.items()}
        print_table(f"noise_scale {scale:g}, median of the observations", middle)
        print_table(f"noise_scale {scale:g}, mean of the observations", mean)
        print_table(
            f"noise_scale {scale:g}, % of observations no further than LeRobot's ten Euler steps", nearer
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
