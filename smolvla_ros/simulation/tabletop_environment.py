# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated tasks as a Gymnasium environment, with the keys and units of LeRobot's datasets.

Observations are those that bag_to_lerobot and make_demonstrations write; the action is the one that they write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import gymnasium
import numpy as np

from smolvla_ros.arrays import Float32Array, ImageArray
from smolvla_ros.dataset.lerobot_format import IMAGES, STATE
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import find_robot_file, share_folder
from smolvla_ros.simulation.appearance import random_appearance
from smolvla_ros.simulation.demonstration import time_limit_s
from smolvla_ros.simulation.tabletop import CAMERAS, Tabletop
from smolvla_ros.simulation.tasks.instruction import random_task, understand
from smolvla_ros.simulation.tasks.task import Progress
from smolvla_ros.units import JointUnits, load_calibration, positions_from_lerobot, positions_to_lerobot

Observation = dict[str, Any]  # key -> array
MAX_SEED = 2**31


class TabletopEnvironment(gymnasium.Env[Observation, Any]):
    """One task with another layout in each episode. A step lasts 1 / rate_hz of the robot file.

    task: a name of TASKS. robot: a robot file, or the name of one of the package. cameras: names from the robot file;
    the first is what `render` shows. camera_names: how they are called in the observation, "image_key" (camera1) or
    "name" (top). image_size: width and height; None: as in the robot file. appearance: how much light, colours, table
    and cameras vary, 0 to 1.

    reset(seed=...): the layout and the instruction of this seed; without, of a random one. options: {"instruction":
    "..."} asks for another task in the same layout. The reward of a step is the task's score so far, 0 to 1. An episode
    terminates with success, and is truncated after the time that the task should take at most.

    Raises InstructionError for an unknown task or instruction, RobotSpecError for an unknown robot or camera.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(
        self,
        task: str = "pick_place",
        robot: str = "so100",
        cameras: tuple[str, ...] = CAMERAS,
        camera_names: Literal["image_key", "name"] = "image_key",
        image_size: tuple[int, int] | None = None,
        appearance: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        spec = RobotSpec.load(find_robot_file(robot))
        if image_size is not None:
            spec = spec.with_cameras(width=image_size[0], height=image_size[1])
        calibration = load_calibration(
            share_folder() / "config" / "emulated_calibration.json", spec.joint_names
        )
        self.render_mode = render_mode
        self._robot, self._task_name = spec, task
        self._units = spec.units(calibration)
        self._cameras = {
            name: IMAGES + (name if camera_names == "name" else spec.camera(name).image_key)
            for name in cameras
        }
        self._appearance = appearance
        random_task(task, 0)  # the name is checked here
        self.action_space = _positions_space(spec, self._units)
        images = {
            key: gymnasium.spaces.Box(
                0, 255, (spec.camera(name).height, spec.camera(name).width, 3), np.uint8
            )
            for name, key in self._cameras.items()
        }
        self.observation_space = gymnasium.spaces.Dict({STATE: _anything(len(spec.joints)), **images})
        self.tabletop: Tabletop | None = None
        self.progress: Progress | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        layout_seed = int(self.np_random.integers(MAX_SEED)) if seed is None else seed
        layout, task = random_task(self._task_name, layout_seed)
        if options and "instruction" in options:
            task = understand(options["instruction"], layout)
        look = random_appearance(layout_seed, self._appearance)
        self.tabletop = Tabletop(self._robot, layout, tuple(self._cameras), look, seed=layout_seed)
        self.progress = Progress(task)
        self.progress.observe(self.tabletop.state())
        return self._observe(), self._info()

    def step(self, action: Float32Array) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        tabletop, progress = self.tabletop, self.progress
        if tabletop is None or progress is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        tabletop.step(positions_from_lerobot(self._units, np.asarray(action)), 1.0 / self._robot.rate_hz)
        progress.observe(tabletop.state())
        is_late = not progress.is_success and progress.time_s >= time_limit_s(progress.task)
        return self._observe(), progress.score, progress.is_success, is_late, self._info()

    def render(self) -> ImageArray | None:
        if self.render_mode != "rgb_array" or self.tabletop is None:
            return None
        return self.tabletop.render(next(iter(self._cameras)))

    def _observe(self) -> Observation:
        assert self.tabletop is not None
        images, positions_rad = self.tabletop.observe()
        state = positions_to_lerobot(self._units, positions_rad)
        return {STATE: state, **{key: images[name] for name, key in self._cameras.items()}}

    def _info(self) -> dict[str, Any]:
        assert self.progress is not None
        return {
            "task": self._task_name,
            "instruction": self.progress.task.instruction,
            "is_success": self.progress.is_success,
            "wrong_object": self.progress.wrong_object,
            "was_dropped": self.progress.was_dropped,
        }


def _positions_space(robot: RobotSpec, units: Sequence[JointUnits]) -> gymnasium.spaces.Box:
    """The positions within the joints' limits, in LeRobot's units."""
    ends = np.array([positions_to_lerobot(units, limit) for limit in (robot.lower_rad, robot.upper_rad)])
    return gymnasium.spaces.Box(ends.min(axis=0), ends.max(axis=0), dtype=np.float32)


def _anything(joints: int) -> gymnasium.spaces.Box:
    """Positions without limits: a joint may be pushed a little beyond its own."""
    return gymnasium.spaces.Box(-np.inf, np.inf, (joints,), np.float32)
