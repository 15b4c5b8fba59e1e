# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A demonstration: the expert's intention as label, the disturbed arm as state, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mujoco", reason="the physical world needs MuJoCo")

from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation import demonstration as module
from smolvla_ros.simulation.demonstration import Demonstration, demonstrate
from smolvla_ros.simulation.disturbance import DisturbanceSettings
from smolvla_ros.simulation.layout import Cube, Layout
from smolvla_ros.simulation.tasks.instruction import random_task, understand

ROBOT = RobotSpec.load(Path(__file__).parents[2] / "config" / "so100.yaml")
NONE = DisturbanceSettings(noise_rad=0.0, bursts_per_s=0.0, pauses_per_s=0.0)
STRONG = DisturbanceSettings(noise_rad=0.05, bursts_per_s=0.5)


def touch(seed: int, settings: DisturbanceSettings = NONE) -> Demonstration:
    return demonstrate(ROBOT, *random_task("touch", 1), seed, settings)


def test_a_seed_gives_the_same_demonstration_to_the_last_bit() -> None:
    first, second = touch(4, STRONG), touch(4, STRONG)
    assert first.targets_rad.tobytes() == second.targets_rad.tobytes()
    assert [state.tobytes() for state in first.states] == [state.tobytes() for state in second.states]


def test_speeds_differ_between_seeds() -> None:
    times_s = [touch(seed).progress.time_s for seed in range(5)]
    assert max(times_s) > min(times_s) + 0.1


def test_labels_are_what_the_expert_wanted_where_the_disturbed_arm_was() -> None:
    disturbed = touch(4, STRONG)
    ahead = disturbed.targets_rad - disturbed.positions_rad
    # a label starts from the state of its frame, a pushed arm does not take it along
    assert abs(ahead[:, :5]).max() <= module.ARM_STEP_RAD[1] + 1e-9
    count = min(len(disturbed.states), len(touch(4).states))
    assert abs(disturbed.positions_rad[:count] - touch(4).positions_rad[:count]).max() > 0.02


def test_a_frame_lasts_one_period_of_the_robots_data() -> None:
    demonstration = touch(2)
    assert demonstration.progress.time_s == pytest.approx(len(demonstration.states) / ROBOT.rate_hz)


def test_a_cube_out_of_reach_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT_S", 2.0)
    layout = Layout((Cube("red_cube", "red", 0.6, 0.0),))
    failed = demonstrate(ROBOT, layout, understand("Touch the red cube", layout), 0, NONE)
    assert failed.failure == "the goal was not reached in time"


def test_a_cube_that_stands_in_the_way_is_a_failure_when_it_is_moved() -> None:
    around = ((0.22, 0.031), (0.22, -0.031), (0.251, 0.0), (0.189, 0.0))
    others = (Cube(f"blue_cube_{index}", "blue", *at) for index, at in enumerate(around))
    layout = Layout((Cube("red_cube", "red", 0.22, 0.0), *others))
    failed = demonstrate(ROBOT, layout, understand("Pick up the red cube", layout), 0, NONE)
    assert failed.failure == "another cube was moved"
