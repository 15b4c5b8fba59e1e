# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a task is: an instruction, and stages that a state of the world has reached or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from smolvla_ros.simulation.layout import CUBE_M
from smolvla_ros.simulation.world_state import JAWS, TABLE, WorldState

LIFTED_M = 0.02  # the underside of a cube is so far above the table
MOVED_M = 0.02  # a cube that another task does not mention was moved so far
SETTLED_S = 1.0  # the goal must last for so long
STUCK_RAD, STUCK_S = 0.01, 3.0  # no joint has moved so far in this time


class Task(Protocol):
    """One task in one layout; each method is a pure function of the state."""

    @property
    def instruction(self) -> str:
        """What a person says."""

    @property
    def cubes(self) -> tuple[str, ...]:
        """Names of the cubes that are to be moved; all others are to stay."""

    def shares(self, state: WorldState) -> dict[str, float]:
        """Stages that are reached in this state, with their shares of the score; all of them add up to 1."""

    def is_done(self, state: WorldState) -> bool:
        """Whether the goal is reached in this state, and the gripper has let go."""


@dataclass(frozen=True)
class CubeTask:
    """What the tasks about one cube have in common."""

    instruction: str
    cube: str

    @property
    def cubes(self) -> tuple[str, ...]:
        return (self.cube,)


class GraspTask(CubeTask, ABC):
    """A task for which a cube must be grasped: half of the score for that, half for its goal."""

    goal: ClassVar[str]  # name of the last stage

    def shares(self, state: WorldState) -> dict[str, float]:
        grasped = {"grasped": 0.5} if is_lifted(state, self.cube) else {}
        return grasped | ({self.goal: 0.5} if self.is_done(state) else {})

    @abstractmethod
    def is_done(self, state: WorldState) -> bool: ...


def is_lifted(state: WorldState, cube: str) -> bool:
    """Whether the gripper holds a cube at least LIFTED_M above the table."""
    return state.is_grasped(cube) and state.cube_position(cube)[2] - CUBE_M / 2 > LIFTED_M


@dataclass
class Progress:
    """What has happened in an episode so far; `observe` is called with one state after the other."""

    task: Task
    reached: dict[str, float] = field(default_factory=dict)  # stage -> its share
    success_s: float | None = None  # when the goal was reached for good
    wrong_object: str | None = (
        None  # the first cube that was moved or lifted although the task does not mention it
    )
    was_dropped: bool = False  # a cube fell from the gripper onto the table
    is_stuck: bool = False
    hit_table: bool = False  # the gripper has touched the table
    time_s: float = 0.0
    _start: WorldState | None = None
    _done_since_s: float | None = None
    _lifted: frozenset[str] = frozenset()
    _still_since: WorldState | None = None

    @property
    def score(self) -> float:
        """0 to 1: the shares of all stages that were ever reached."""
        return float(sum(self.reached.values()))

    @property
    def is_success(self) -> bool:
        return self.success_s is not None

    def observe(self, state: WorldState) -> None:
        """Take the next state into account."""
        if self._start is None:
            self._start = self._still_since = state
        self.time_s = state.time_s - self._start.time_s
        if not self.is_success:
            self.reached |= self.task.shares(state)
        self._observe_goal(state)
        self._observe_cubes(state)
        self._observe_arm(state)

    def _observe_goal(self, state: WorldState) -> None:
        if not self.task.is_done(state):
            self._done_since_s = None
        elif self._done_since_s is None:
            self._done_since_s = state.time_s
        elif not self.is_success and state.time_s - self._done_since_s >= SETTLED_S:
            assert self._start is not None
            self.success_s = self._done_since_s - self._start.time_s

    def _observe_cubes(self, state: WorldState) -> None:
        assert self._start is not None
        for cube in state.cube_poses:
            moved = abs(state.cube_position(cube) - self._start.cube_position(cube)).max() > MOVED_M
            if cube not in self.task.cubes and self.wrong_object is None and moved:
                self.wrong_object = cube
        lifted = frozenset(cube for cube in state.cube_poses if is_lifted(state, cube))
        released = {cube for cube in self._lifted - lifted if not state.is_touched(cube)}
        self.was_dropped |= any(TABLE in state.touching[cube] for cube in released)
        self._lifted = (self._lifted | lifted) - {cube for cube in released if state.touching[cube]}

    def _observe_arm(self, state: WorldState) -> None:
        assert self._still_since is not None
        if abs(state.positions_rad - self._still_since.positions_rad).max() > STUCK_RAD:
            self._still_since = state
        self.is_stuck = not self.is_success and state.time_s - self._still_since.time_s > STUCK_S
        self.hit_table |= any(TABLE in state.touching[jaw] for jaw in JAWS)
