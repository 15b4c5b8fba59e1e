# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Gymnasium environment: its interface, LeRobot's units, seeds, reward and errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="the physical world needs MuJoCo")
pytest.importorskip("gymnasium", reason="the environment needs Gymnasium")

import gymnasium
from gymnasium.utils.env_checker import check_env

from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.environments import TABLETOP
from smolvla_ros.simulation.expert import Expert
from smolvla_ros.simulation.tabletop_environment import TabletopEnvironment
from smolvla_ros.simulation.tasks.instruction import InstructionError
from smolvla_ros.units import load_calibration, positions_to_lerobot
from smolvla_ros.urdf import Urdf

ROOT = Path(__file__).parents[2]
ROBOT = RobotSpec.load(ROOT / "config" / "so100.yaml")
UNITS = ROBOT.units(load_calibration(ROOT / "config" / "emulated_calibration.json"))


def make(**options: Any) -> Any:
    return gymnasium.make(TABLETOP, image_size=(96, 72), **options)


def test_gymnasiums_own_checks_pass() -> None:
    check_env(make(render_mode="rgb_array").unwrapped, skip_render_check=True)


def test_keys_and_units_are_those_of_the_projects_datasets() -> None:
    environment = make()
    observation, info = environment.reset(seed=3)
    assert list(observation) == [
        "observation.state",
        "observation.images.camera1",
        "observation.images.camera2",
    ]
    assert observation["observation.images.camera1"].shape == (72, 96, 3)
    assert 0.0 <= observation["observation.state"][-1] <= 100.0
    assert abs(environment.action_space.low[0] + environment.action_space.high[0]) < 1.0  # degrees
    assert environment.action_space.high[0] > 90.0 and environment.action_space.high[-1] <= 100.0
    assert "cube" in info["instruction"] and info["task"] == "pick_place"
    named = make(camera_names="name", cameras=("side",)).reset(seed=3)[0]
    assert list(named) == ["observation.state", "observation.images.side"]


def test_a_seed_gives_the_same_episode_to_the_last_bit() -> None:
    def episode() -> list[bytes]:
        environment = make(task="stack", appearance=1.0)
        seen = [environment.reset(seed=5)[0]]
        environment.action_space.seed(0)
        seen += [environment.step(environment.action_space.sample())[0] for _ in range(5)]
        return [value.tobytes() for observation in seen for value in observation.values()]

    assert episode() == episode()


def test_episodes_without_a_seed_differ() -> None:
    environment = make()
    environment.reset(seed=0)
    states = [environment.reset()[0]["observation.state"].tobytes() for _ in range(3)]
    assert len(set(states)) == 3


def test_the_expert_earns_the_whole_reward_and_ends_the_episode() -> None:
    environment = make(task="touch", cameras=())
    expert = Expert(Urdf.load(ROBOT.urdf_path))
    environment.reset(seed=1)
    inner: TabletopEnvironment = environment.unwrapped
    rewards = []
    for _ in range(300):
        assert inner.tabletop is not None and inner.progress is not None
        targets = expert.targets(inner.tabletop.state(), inner.progress.task)
        action = positions_to_lerobot(UNITS, targets)
        _, reward, terminated, truncated, info = environment.step(action)
        rewards.append(reward)
        if terminated:
            break
    assert terminated and not truncated and info["is_success"]
    assert rewards[0] == 0.0 and rewards[-1] == 1.0 and sorted(rewards) == rewards


def test_doing_nothing_is_truncated_without_reward() -> None:
    environment = make(task="pick_up", cameras=())
    state = environment.reset(seed=1)[0]["observation.state"]
    results = [environment.step(state) for _ in range(901)]
    assert [result[3] for result in results[-3:]] == [False, True, True]
    assert results[-1][1] == 0.0


def test_an_instruction_can_be_given_and_must_name_a_cube_on_the_table() -> None:
    environment = make()
    layout = environment.reset(seed=2) and environment.unwrapped.tabletop.layout
    colour = layout.cubes[-1].colour
    info = environment.reset(seed=2, options={"instruction": f"Pick up the {colour} cube"})[1]
    assert info["instruction"] == f"Pick up the {colour} cube"
    with pytest.raises(InstructionError, match="no purple cube"):
        environment.reset(seed=2, options={"instruction": "Pick up the purple cube"})


def test_an_unknown_task_is_an_error_that_lists_the_tasks() -> None:
    with pytest.raises(InstructionError, match="no task 'juggle'; there are touch, pick_up"):
        TabletopEnvironment("juggle")


def test_a_step_before_reset_is_gymnasiums_error() -> None:
    with pytest.raises(gymnasium.error.ResetNeeded):
        TabletopEnvironment().step(np.zeros(6, np.float32))


def test_without_gymnasium_the_error_says_what_to_install() -> None:
    program = (
        "import sys\nsys.modules['gymnasium'] = None\n"
        "try:\n    import smolvla_ros.simulation.environments\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "Gymnasium is missing; install it: pip install gymnasium"
