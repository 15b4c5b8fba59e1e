# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The flow is integrated as LeRobot does by default; other solvers need fewer evaluations for the same accuracy."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from smolvla_ros.nodes.policy_loading import load_policy
from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.smolvla.flow_solver import SOLVERS, FlowSolver
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import CHECKPOINT, find_robot_file, share_folder

ORDERS = {"euler": 1, "heun": 2, "midpoint": 2, "adams_bashforth_2": 2}

Load = Callable[..., SmolVLA]


def growth(solver: FlowSolver) -> float:
    """The solution at t = 0 of dx/dt = 2 t x from x = 1 at t = 1, which is exp(-1)."""
    times = solver.times
    x = solver.integrate(lambda x, index: 2 * times[index] * x, torch.ones(1, dtype=torch.float64))
    return float(x)


def test_every_solver_has_a_known_order() -> None:
    assert set(ORDERS) == set(SOLVERS)


@pytest.mark.parametrize("spacing", [1.0, 1.5])
@pytest.mark.parametrize(("method", "order"), ORDERS.items())
def test_the_error_falls_with_the_order_of_the_solver(method: str, order: int, spacing: float) -> None:
    coarse, fine = (abs(growth(FlowSolver(steps, method, spacing)) - math.exp(-1)) for steps in (40, 80))
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("spacing", [1.0, 1.5])
@pytest.mark.parametrize("method", SOLVERS)
def test_the_velocity_is_evaluated_once_at_each_time_in_order(method: str, spacing: float) -> None:
    solver = FlowSolver(4, method, spacing)
    asked: list[int] = []

    def velocity(x: torch.Tensor, index: int) -> torch.Tensor:
        asked.append(index)
        return torch.ones_like(x)

    x = solver.integrate(velocity, torch.zeros(2))
    assert asked == list(range(len(solver.times)))
    assert torch.allclose(x, torch.full((2,), -1.0))
    assert solver.times[0] == 1.0 and min(solver.times) >= 0.0


@pytest.mark.parametrize("method", SOLVERS)
def test_a_velocity_may_overwrite_the_one_before(method: str) -> None:
    solver, buffer = FlowSolver(4, method), torch.zeros(3)
    start = torch.tensor([1.0, 2.0, 3.0])
    overwriting = solver.integrate(lambda x, index: torch.mul(x, index + 1, out=buffer), start)
    assert torch.equal(overwriting, solver.integrate(lambda x, index: x * (index + 1), start))
    assert torch.equal(start, torch.tensor([1.0, 2.0, 3.0]))


def test_steps_may_become_smaller_towards_the_actions() -> None:
    times = FlowSolver(4, "adams_bashforth_2", 2.0).times
    assert times == pytest.approx([1.0, 0.5625, 0.25, 0.0625])


def test_by_default_a_chunk_is_that_of_lerobots_loop(policy: SmolVLA, observation: dict[str, Any]) -> None:
    noise = torch.randn(1, 50, 32, generator=torch.Generator().manual_seed(0))
    network = policy.network
    with torch.inference_mode():
        inputs = policy.prepare(**observation)
        context = network.encode_prefix(
            inputs.images, inputs.image_valid, inputs.tokens, inputs.tokens_valid, inputs.state, False
        )
        x, dt = noise, -1.0 / 10
        for step in range(10):
            time = network.embed_times(torch.tensor([1.0 + step * dt]))[0]
            x = x + dt * network.velocity(context, x, time)
        assert torch.equal(network.sample(context, noise), x)


def test_all_solvers_come_to_the_same_chunk(load: Load, observation: dict[str, Any]) -> None:
    policy = load()

    def chunk(solver: FlowSolver) -> np.ndarray[Any, Any]:
        policy.network.solver = solver
        return policy.predict_chunk(**observation, seed=1) / policy.processors.action.second.numpy()

    default, euler, *others = (chunk(FlowSolver(10)), *(chunk(FlowSolver(80, method)) for method in SOLVERS))
    for other in others:
        assert 0 < np.abs(other - euler).mean() < 0.5 * np.abs(other - default).mean()


@pytest.mark.parametrize("method", SOLVERS)
def test_a_guided_chunk_continues_the_plan_with_every_solver(
    method: str, load: Load, observation: dict[str, Any]
) -> None:
    policy = load()
    std = policy.processors.action.second.numpy()
    before = policy.predict_chunk(**observation, seed=1)
    policy.network.solver = FlowSolver(5, method)
    plain = policy.predict_chunk(**observation, seed=2)
    after = policy.predict_chunk(
        **observation, seed=2, prefix=before[20:], inference_delay=4, max_guidance_weight=5.0
    )
    gap, guided_gap = (np.abs((chunk[:4] - before[20:24]) / std).max() for chunk in (plain, after))
    assert guided_gap < 0.3 * gap


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, FlowSolver(6)),
        ({"solver": "midpoint", "num_steps": 2, "time_spacing": 1.5}, FlowSolver(2, "midpoint", 1.5)),
    ],
)
def test_the_policys_parameters_select_the_solver(parameters: dict[str, Any], expected: FlowSolver) -> None:
    calibration = str(share_folder() / "config" / "emulated_calibration.json")
    config = PolicyConfig(checkpoint=CHECKPOINT, calibration=calibration, **parameters)
    robot = RobotSpec.load(find_robot_file("so100"))
    policy: Any = load_policy(config, robot, logging.getLogger("test"))
    assert policy._model.network.solver == expected
