# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The expert does every task in the physical world, follows the instruction, and recovers from disturbances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="the physical world needs MuJoCo")

from smolvla_ros.simulation.expert import Expert
from smolvla_ros.simulation.layout import Cube, Layout, Tray
from smolvla_ros.simulation.tasks.instruction import TASKS, random_task, understand
from smolvla_ros.simulation.tasks.stack import Stack
from smolvla_ros.simulation.tasks.task import Progress, Task
from smolvla_ros.simulation.world import World
from smolvla_ros.urdf import Urdf

URDF = Path(__file__).parents[2] / "urdf" / "so100.urdf"
PERIOD_S = 0.1
LIMIT_S = {"sort": 40.0}


@pytest.fixture(scope="module")
def expert() -> Expert:
    return Expert(Urdf.load(URDF))


def perform(
    expert: Expert, layout: Layout, task: Task, noise_rad: float = 0.0, limit_s: float = 15.0
) -> Progress:
    """An episode until success or the limit; noise is added to every command."""
    world, progress, random = World(URDF, layout), Progress(task), np.random.default_rng(0)
    progress.observe(world.state())
    while world.time_s < limit_s and not progress.is_success:
        world.command(expert.targets(world.state(), task) + random.normal(0.0, noise_rad, 6))
        world.step(PERIOD_S)
        progress.observe(world.state())
    return progress


@pytest.mark.parametrize("name", TASKS)
def test_every_task_succeeds_on_random_layouts_with_disturbed_commands(expert: Expert, name: str) -> None:
    for seed in range(1000, 1006):
        progress = perform(expert, *random_task(name, seed), noise_rad=0.01, limit_s=LIMIT_S.get(name, 15.0))
        assert progress.is_success and progress.score == pytest.approx(1.0), (name, seed)
        assert progress.wrong_object is None, (name, seed)


def test_the_cube_that_is_named_is_the_one_that_is_moved(expert: Expert) -> None:
    layout, _ = random_task("pick_place", 4)
    for cube in layout.cubes:
        task = understand(f"Put the {cube.colour} cube into the box", layout)
        progress = perform(expert, layout, task)
        assert task.cubes == (cube.name,) and progress.is_success and progress.wrong_object is None


def test_a_cube_that_is_taken_away_and_put_elsewhere_is_picked_up_again(expert: Expert) -> None:
    layout = Layout((Cube("red_cube", "red", 0.24, -0.05),), (Tray("white_tray", "white", 0.2, 0.13),))
    task = understand("Put the red cube into the box", layout)
    world, progress = World(URDF, layout), Progress(task)
    opened = False
    while world.time_s < 20.0 and not progress.is_success:
        state = world.state()
        targets = expert.targets(state, task)
        if world.time_s < 6.0 and (
            opened or (state.is_grasped("red_cube") and state.cube_position("red_cube")[2] > 0.05)
        ):
            opened = True
            targets = np.append(state.positions_rad[:5], 1.2)  # somebody opens the gripper
        world.command(targets)
        world.step(PERIOD_S)
        progress.observe(world.state())
    assert opened and progress.was_dropped and progress.is_success


@pytest.mark.parametrize("bearing_rad", [0.0, 0.8, 1.6])
def test_a_cube_that_lies_against_another_is_grasped_across_it(expert: Expert, bearing_rad: float) -> None:
    beside_m = 0.032  # of the centres: the faces almost touch
    x_m, y_m = 0.24 + beside_m * np.cos(bearing_rad), beside_m * np.sin(bearing_rad)
    cubes = (
        Cube("red_cube", "red", 0.24, 0.0, bearing_rad),
        Cube("blue_cube", "blue", x_m, y_m, bearing_rad),
    )
    layout = Layout(cubes)
    progress = perform(expert, layout, understand("Stack the red cube on the blue cube", layout))
    assert progress.is_success


def test_a_cube_that_is_a_little_beside_its_place_is_not_raised_again(expert: Expert) -> None:
    layout, task = random_task("stack", 5)
    assert isinstance(task, Stack)
    world = World(URDF, layout)
    heights_m = []
    while world.time_s < 8.0 and not task.is_done(world.state()):
        state = world.state()
        target_rad = expert.targets(state, task)
        away = state.cube_position(task.cube) - state.cube_position(task.below)
        if state.is_grasped(task.cube) and np.linalg.norm(away[:2]) < 0.015:
            heights_m.append(away[2])
            target_rad[0] += 0.02  # 5 mm beside at this distance from the pan axis
        world.command(target_rad)
        world.step(PERIOD_S)
    assert task.is_done(world.state()) and len(heights_m) > 2
    assert max(np.diff(heights_m)) < 0.004


def test_a_cube_that_lies_on_another_in_its_tray_is_put_beside_it(expert: Expert) -> None:
    tray = Tray("red_tray", "red", 0.2, 0.12)
    cubes = (Cube("red_cube", "red", 0.2, 0.14), Cube("red_cube_2", "red", 0.24, -0.05))
    layout = Layout(cubes, (tray,))
    task = understand("Sort the cubes by colour", layout)
    world, progress = World(URDF, layout), Progress(task)
    world.step(0.5)
    while world.time_s < 30.0 and not progress.is_success:
        world.command(expert.targets(world.state(), task))
        world.step(PERIOD_S)
        progress.observe(world.state())
    first, second = (world.state().cube_position(cube.name) for cube in cubes)
    assert progress.is_success and np.hypot(*(first - second)[:2]) > 0.03


def test_an_instruction_that_changes_on_the_way_is_followed(expert: Expert) -> None:
    layout, _ = random_task("pick_place", 8)
    first, second = layout.cubes[0].colour, layout.cubes[1].colour
    world = World(URDF, layout)
    task = understand(f"Put the {first} cube into the box", layout)
    while world.time_s < 1.0:
        world.command(expert.targets(world.state(), task))
        world.step(PERIOD_S)
    task = understand(f"Put the {second} cube into the box", layout)
    progress = Progress(task)
    while world.time_s < 20.0 and not progress.is_success:
        world.command(expert.targets(world.state(), task))
        world.step(PERIOD_S)
        progress.observe(world.state())
    assert progress.is_success


def test_from_one_state_the_expert_always_does_the_same(expert: Expert) -> None:
    layout, task = random_task("stack", 3)
    state = World(URDF, layout).state()
    assert (expert.targets(state, task) == expert.targets(state, task)).all()
    assert (
        abs(expert.targets(state, task) - state.positions_rad) <= np.array([0.16] * 5 + [0.4]) + 1e-9
    ).all()
