# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One demonstration of a task by the expert, in the stepped world: what it did, before any picture is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.disturbance import Disturbance, DisturbanceSettings
from smolvla_ros.simulation.expert import FIRM_GRIP_RAD, Expert
from smolvla_ros.simulation.layout import Layout
from smolvla_ros.simulation.tasks.sort import Sort
from smolvla_ros.simulation.tasks.task import Progress, Task
from smolvla_ros.simulation.world import TIME_STEP_S, World, time_step_for
from smolvla_ros.urdf import Urdf

LIMIT_S, SORT_LIMIT_S = 30.0, 80.0
# Of each episode: how far a command is ahead of the arm (which sets its speed) and of the gripper, rad; how high above
# a cube the gripper stops first, and how high it carries, m.
ARM_STEP_RAD, GRIPPER_STEP_RAD = (0.1, 0.2), (0.25, 0.45)
ABOVE_M, CARRY_M = (0.05, 0.075), (0.07, 0.1)


@dataclass(frozen=True, eq=False)
class Demonstration:
    """An episode, one row a frame."""

    task: Task
    progress: Progress
    states: tuple[FloatArray, ...]  # what World.restore takes
    positions_rad: FloatArray  # (frames, joints)
    targets_rad: FloatArray  # (frames, joints), what the expert wanted, not the disturbed command

    @property
    def failure(self) -> str:
        """Why it shows nobody how to do the task, or an empty string."""
        if self.progress.wrong_object is not None:
            return "another cube was moved"
        return "" if self.progress.is_success else "the goal was not reached in time"


def time_limit_s(task: Task) -> float:
    """After this time a task has failed."""
    return SORT_LIMIT_S if isinstance(task, Sort) else LIMIT_S


def demonstrate(
    robot: RobotSpec,
    layout: Layout,
    task: Task,
    seed: int,
    settings: DisturbanceSettings,
    time_step_s: float = TIME_STEP_S,
) -> Demonstration:
    """Do a task at the rate of the robot's data; the same to the last bit for the same arguments on one machine.

    time_step_s: of the physics, rounded down to a part of the period. Raises ExpertError for an arm of another build.
    """
    period_s = 1.0 / robot.rate_hz
    random = np.random.default_rng([seed, 3])
    expert = Expert(
        Urdf.load(robot.urdf_path),
        (random.uniform(*ARM_STEP_RAD), random.uniform(*GRIPPER_STEP_RAD)),
        above_m=random.uniform(*ABOVE_M),
        carry_m=random.uniform(*CARRY_M),
        grip_rad=FIRM_GRIP_RAD,
    )
    disturbance = Disturbance(settings, len(robot.joints), period_s, random)
    world = World(robot.urdf_path, layout, time_step_for(period_s, time_step_s))
    progress, limit_s = Progress(task), time_limit_s(task)
    states, positions_rad, targets_rad = [], [], []
    state = world.state()
    progress.observe(state)
    target_rad = state.positions_rad
    while not progress.is_success and progress.wrong_object is None and world.time_s < limit_s:
        noise_rad, is_paused = disturbance.step()
        if not is_paused:
            target_rad = expert.targets(state, task)
        states.append(world.save())
        positions_rad.append(state.positions_rad)
        targets_rad.append(target_rad)
        world.command(target_rad + noise_rad)
        world.step(period_s)
        state = world.state()
        progress.observe(state)
    return Demonstration(task, progress, tuple(states), np.array(positions_rad), np.array(targets_rad))
