# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The expert as a policy: its chunks, executed one after the other, do the instructed task."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("mujoco", reason="the physical world needs MuJoCo")

from smolvla_ros.observation import Observation
from smolvla_ros.policy.policy import ObservesWorld, PolicyError
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.simulation.expert_policy import CHUNK, ExpertPolicy
from smolvla_ros.simulation.tasks.instruction import random_task
from smolvla_ros.simulation.tasks.task import Progress
from smolvla_ros.simulation.world import World

ROBOT = RobotSpec.load(Path(__file__).parents[2] / "config" / "so100.yaml")
LAYOUT, TASK = random_task("pick_place", 6)
PERIOD_S = 1.0 / ROBOT.rate_hz


def observed(world: World, instruction: str) -> Observation:
    return Observation({}, Joints(0, world.positions_rad, world.velocities_rad_s), instruction)


def state(world: World) -> SimpleNamespace:
    return SimpleNamespace(layout="pick_place", seed=6, state=world.save().tolist())


def test_its_chunks_do_the_task_when_half_of_each_is_executed() -> None:
    policy, world, progress = ExpertPolicy(ROBOT), World(ROBOT.urdf_path, LAYOUT), Progress(TASK)
    assert isinstance(policy, ObservesWorld)
    while world.time_s < 12.0 and not progress.is_success:
        policy.observe_world(state(world))
        chunk = policy.infer(observed(world, TASK.instruction))
        assert chunk.shape == (CHUNK, 6)
        for action in chunk[: CHUNK // 2]:
            world.command(action)
            world.step(PERIOD_S)
            progress.observe(world.state())
    assert progress.is_success and progress.wrong_object is None


def test_inference_leaves_the_world_as_it_is_and_gives_the_same_for_the_same_state() -> None:
    policy, world = ExpertPolicy(ROBOT), World(ROBOT.urdf_path, LAYOUT)
    policy.observe_world(state(world))
    first = policy.infer(observed(world, TASK.instruction))
    policy.reset()
    assert (policy.infer(observed(world, TASK.instruction)) == first).all()
    assert world.time_s == 0.0


def test_without_a_world_or_with_an_unknown_instruction_it_says_what_is_missing() -> None:
    policy, world = ExpertPolicy(ROBOT), World(ROBOT.urdf_path, LAYOUT)
    with pytest.raises(PolicyError, match="sim:=true"):
        policy.infer(observed(world, TASK.instruction))
    policy.observe_world(state(world))
    with pytest.raises(PolicyError, match="make coffee"):
        policy.infer(observed(world, "make coffee"))
