# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The expert as a policy: chunks that it would command, from a copy of the world in which it goes ahead.

It looks at the state of the world, not at the images. It stands in for a trained policy in the whole suite.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.finding import Finding
from smolvla_ros.observation import Observation
from smolvla_ros.policy.policy import Continuation, PolicyError
from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.expert import Expert
from smolvla_ros.simulation.tasks.instruction import InstructionError, random_task, understand
from smolvla_ros.simulation.world import World, time_step_for
from smolvla_ros.urdf import Urdf

CHUNK = 50  # actions, as a SmolVLA policy gives


class ExpertPolicy:
    """Answers with the commands of the expert; `observe_world` gives it the state to start from."""

    name = "expert"
    cameras: tuple[str, ...] = ()

    def __init__(self, robot: RobotSpec) -> None:
        self.rate_hz = robot.rate_hz
        self._robot = robot
        self._expert = Expert(Urdf.load(robot.urdf_path))
        self._lock = threading.Lock()
        self._world: World | None = None
        self._key: Any = None
        self._state: FloatArray | None = None

    def observe_world(self, message: Any) -> None:
        """Another state of the world, a WorldState message; may be called from another thread."""
        key = (str(message.layout), int(message.seed))
        state = np.asarray(message.state, np.float64)
        with self._lock:
            if key != self._key:
                layout, _ = random_task(*key)
                self._world = World(self._robot.urdf_path, layout, time_step_for(1.0 / self._robot.rate_hz))
                self._key = key
            self._state = state

    def infer(self, observation: Observation, continuation: Continuation | None = None) -> FloatArray:
        """Positions of shape (CHUNK, joints), rad; raises PolicyError without a world or a known instruction."""
        with self._lock:
            if self._world is None or self._state is None:
                raise PolicyError("no state of a world has come; the expert needs sim:=true")
            try:
                task = understand(observation.task, self._world.layout)
            except InstructionError as error:
                raise PolicyError(str(error)) from error
            self._world.restore(self._state)
            actions = np.empty((CHUNK, len(self._robot.joints)))
            for action in actions:
                action[:] = self._expert.targets(self._world.state(), task)
                self._world.command(action)
                self._world.step(1.0 / self._robot.rate_hz)
            return actions

    def check_pose(self, positions_rad: FloatArray, max_sigma: float) -> Finding | None:
        """None: it may start from anywhere."""
        return None

    def reset(self) -> None:
        """Nothing is remembered."""
