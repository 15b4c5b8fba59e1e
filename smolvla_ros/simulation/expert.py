# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A scripted expert: the joint targets that bring a task forward, from the present state of the world alone.

It keeps no memory between calls: after a slip, a push or a new instruction the next call starts from what it finds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.simulation.inverse_kinematics import InverseKinematics
from smolvla_ros.simulation.kinematics import wrapped_angle
from smolvla_ros.simulation.layout import CUBE_M, FLOOR_M, Tray
from smolvla_ros.simulation.tasks.pick_place import PickPlace, lies_in
from smolvla_ros.simulation.tasks.pick_up import PickUp
from smolvla_ros.simulation.tasks.put_aside import LEFT_M, PutAside
from smolvla_ros.simulation.tasks.sort import Sort
from smolvla_ros.simulation.tasks.stack import Stack
from smolvla_ros.simulation.tasks.task import Task
from smolvla_ros.simulation.tasks.touch import Touch
from smolvla_ros.simulation.world_state import WorldState
from smolvla_ros.urdf import Urdf

# In gripper_link: the centre of a cube while the jaws come down around it, the fixed jaw 8 mm beside it.
GRASP_POINT = (-0.018, -0.09, 0.0)
READY_M = (0.22, 0.0, 0.09)  # the grasp point moves there when its target is out of reach
OPEN_RAD, CLOSED_RAD = 0.7, -0.2
GRIP_RAD = 0.023  # 0.7 Nm, no overload
FIRM_GRIP_RAD = 0.1  # for what is learned from: a network commands the gripper less exactly
IS_OPEN_RAD = 0.45
# of the grasp point above a cube before it descends, and of a carried cube above what it passes
GRASP_HEIGHT_M = 0.021  # the jaws end 17 mm below the grasp point
NEAR_M = 0.008  # horizontal distance at which the grasp point counts as above the cube
ALIGNED_RAD = 0.15
TOUCH_M = 0.026  # of the grasp point above a cube's centre: the jaws would end 6 mm below its top
FAR_M = 0.03  # horizontal distance from its place up to which a carried cube stays at its height
DESCENT = 2.5  # nearer, its height above the place for each metre that it is beside it
SLOT_M = 0.048  # from cube to cube in a tray
BLOCKED_M = 0.06  # a cube whose centre is nearer may leave no room for a jaw


class ExpertError(ValueError):
    """The expert cannot move this arm; the message says why."""


@dataclass(frozen=True)
class Place:
    """Where a cube is put: the centre of its underside, and how close to it (horizontally, above) it is released, m."""

    x_m: float
    y_m: float
    z_m: float
    beside_m: float = 0.02
    above_m: float = 0.012


class Expert:
    """Joint targets for an arm built like the SO-100.

    max_step_rad: how far a target is from the joint's present position at most, for arm joints and gripper. It sets the
    speed: the larger it is for the same period, the faster. above_m: of the grasp point above a cube before it
    descends, and of a carried cube above what it passes. carry_m: height of a cube that is carried. grip_rad: how far
    the target of a gripper that holds a cube is beyond where the cube stops it.
    """

    def __init__(
        self,
        urdf: Urdf,
        max_step_rad: tuple[float, float] = (0.16, 0.4),
        above_m: float = 0.06,
        carry_m: float = 0.08,
        grip_rad: float = GRIP_RAD,
    ) -> None:
        self._above_m, self._carry_m, self._grip_rad = above_m, carry_m, grip_rad
        self._inverse = InverseKinematics(urdf, GRASP_POINT)
        ready = self._inverse.joints(READY_M, math.pi)
        if ready is None:
            raise ExpertError(
                f"arm '{urdf.name}' cannot point its gripper down at {READY_M} m; use the SO-100"
            )
        self._ready_rad = ready
        self._max_step_rad = np.array([*[max_step_rad[0]] * len(ready), max_step_rad[1]])

    def targets(self, state: WorldState, task: Task) -> FloatArray:
        """Positions (6,) rad to command now."""
        if isinstance(task, Touch):
            return self._touch(state, task.cube)
        if isinstance(task, PickUp):
            return self._pick_up(state, task.cube)
        if isinstance(task, PickPlace):
            return self._put_away(state, ((task.cube, task.tray),))
        if isinstance(task, Stack):
            below = state.cube_position(task.below)
            # jaws that hold the cube high up stand on the lower one before it does
            above_m = 0.025 if state.is_touched(task.below) else 0.008
            top = Place(below[0], below[1], below[2] + CUBE_M / 2, beside_m=0.006, above_m=above_m)
            return self._carry(state, task.cube, top)
        if isinstance(task, Sort):
            return self._put_away(state, task.goals)
        if isinstance(task, PutAside):
            if task.is_done(state):
                return self._release(state)
            return self._carry(state, task.cube, Place(*LEFT_M, 0.0))
        raise ExpertError(f"there is no expert for {type(task).__name__}")

    def _put_away(self, state: WorldState, goals: tuple[tuple[str, Tray], ...]) -> FloatArray:
        """Put cubes into their trays, one after the other, beside each other."""
        goal = next_goal(state, goals)
        if goal is None:
            return self._release(state)
        cube, tray = goal
        if _lies_on_another(state, cube):
            return self._pick_up(state, cube)
        count = sum(its_tray is tray for _, its_tray in goals)
        return self._carry(state, cube, _free_slot(state, cube, tray, count))

    def _carry(self, state: WorldState, name: str, place: Place) -> FloatArray:
        """Put a cube at a place and retreat."""
        cube = state.cube_position(name)
        beside = math.dist(cube[:2], (place.x_m, place.y_m))
        if beside < place.beside_m and cube[2] - CUBE_M / 2 < place.z_m + place.above_m:
            return self._release(state)
        if not state.is_grasped(name):
            return self._pick_up(state, name)
        height = max(self._carry_m, place.z_m + self._above_m)
        if beside > FAR_M:
            over = cube if cube[2] < height - 0.02 else (place.x_m, place.y_m)
            return self._move(state, (over[0], over[1], height), CLOSED_RAD, held=cube)
        height = place.z_m + CUBE_M / 2 + DESCENT * max(beside - place.beside_m, 0.0)
        return self._move(state, (place.x_m, place.y_m, height), CLOSED_RAD, held=cube)

    def _pick_up(self, state: WorldState, name: str) -> FloatArray:
        """Grasp a cube and lift it."""
        cube = state.cube_position(name)
        if state.is_grasped(name):
            return self._move(state, (cube[0], cube[1], self._carry_m + 0.02), CLOSED_RAD, held=cube)
        yaw = _jaw_yaw(state, name)
        point = state.gripper_point(GRASP_POINT)
        height = max(cube[2], GRASP_HEIGHT_M)
        beside = math.dist(point[:2], cube[:2])
        if beside < 2 * NEAR_M and point[2] < height + 0.012:
            return self._move(state, (cube[0], cube[1], height), CLOSED_RAD, yaw)
        if beside < NEAR_M and abs(wrapped_angle(_gripper_yaw(state) - yaw)) < ALIGNED_RAD:
            return self._move(state, (cube[0], cube[1], height), OPEN_RAD, yaw)
        if point[2] < height + 0.75 * self._above_m:
            return self._move(
                state, (point[0], point[1], height + self._above_m), OPEN_RAD, _gripper_yaw(state)
            )
        return self._move(state, (cube[0], cube[1], height + self._above_m), OPEN_RAD, yaw)

    def _touch(self, state: WorldState, name: str) -> FloatArray:
        """Bring the closed gripper down on a cube."""
        cube = state.cube_position(name)
        tip = state.gripper_point(GRASP_POINT)
        is_over = math.dist(tip[:2], cube[:2]) < NEAR_M
        height = cube[2] + (TOUCH_M if is_over or state.is_touched(name) else self._above_m)
        return self._move(state, (cube[0], cube[1], height), 0.0, _jaw_yaw(state, name))

    def _release(self, state: WorldState) -> FloatArray:
        """Open the gripper, then raise it."""
        point = state.gripper_point(GRASP_POINT)
        if state.positions_rad[-1] < IS_OPEN_RAD and point[2] < self._carry_m + self._above_m:
            return self._limited(state, np.append(state.positions_rad[:-1], OPEN_RAD))
        return self._move(
            state, (point[0], point[1], self._carry_m + self._above_m), OPEN_RAD, _gripper_yaw(state)
        )

    def _move(
        self,
        state: WorldState,
        target: tuple[float, float, float],
        gripper_rad: float,
        yaw_rad: float | None = None,
        held: FloatArray | None = None,
    ) -> FloatArray:
        """A step that brings the grasp point to `target`, or with `held` the cube whose centre this is.

        yaw_rad: of the gripper's x axis; None: as it is.
        """
        wanted = np.asarray(target)
        if held is not None:
            wanted = wanted + state.gripper_point(GRASP_POINT) - held
        arm = self._inverse.joints(wanted, _gripper_yaw(state) if yaw_rad is None else yaw_rad)
        if arm is None:
            arm = np.append(state.positions_rad[:1], self._ready_rad[1:])
        if held is not None:
            gripper_rad = state.positions_rad[-1] - self._grip_rad
        return self._limited(state, np.append(arm, gripper_rad))

    def _limited(self, state: WorldState, joints_rad: FloatArray) -> FloatArray:
        """`joints_rad`, or as much of the way there as max_step_rad allows; arm joints all by the same share."""
        change = joints_rad - state.positions_rad
        change[:-1] /= np.max(np.abs(change[:-1]) / self._max_step_rad[:-1], initial=1.0)
        change[-1] = np.clip(change[-1], -self._max_step_rad[-1], self._max_step_rad[-1])
        limited: FloatArray = state.positions_rad + change
        return limited


def next_goal(state: WorldState, goals: tuple[tuple[str, Tray], ...]) -> tuple[str, Tray] | None:
    """Which cube is to be put into its tray now: of those that are not there the one nearest to the gripper, which
    can be seen; None when all are there."""
    gripper = state.gripper_point(GRASP_POINT)
    left = [(cube, tray) for cube, tray in goals if not lies_in(state, cube, tray)]
    return min(left, key=lambda goal: math.dist(gripper, state.cube_position(goal[0])), default=None)


def _lies_on_another(state: WorldState, cube: str) -> bool:
    """Whether a cube that the gripper does not touch lies on another one."""
    others = state.touching[cube] & state.cube_poses.keys()
    return (
        bool(others)
        and not state.is_touched(cube)
        and any(state.cube_position(cube)[2] - state.cube_position(other)[2] > CUBE_M / 2 for other in others)
    )


def _free_slot(state: WorldState, cube: str, tray: Tray, count: int) -> Place:
    """Of `count` places in a tray the one farthest from the other cubes in it."""
    inside = [
        position[:2]
        for position in (state.cube_position(other) for other in state.cube_poses if other != cube)
        if tray.contains(position[0], position[1])
    ]

    def gap(place: Place) -> float:
        return min((math.dist((place.x_m, place.y_m), position) for position in inside), default=math.inf)

    return max((_slot(tray, index, count) for index in range(count)), key=gap)


def _slot(tray: Tray, index: int, count: int) -> Place:
    """The place of one of several cubes in a tray, in a row across."""
    across = (index - (count - 1) / 2) * SLOT_M
    return Place(
        tray.x_m - math.sin(tray.yaw_rad) * across,
        tray.y_m + math.cos(tray.yaw_rad) * across,
        FLOOR_M,
        above_m=0.03 if count > 1 else 0.012,
    )


def _gripper_yaw(state: WorldState) -> float:
    """Yaw of the gripper's x axis, along which the jaws open."""
    return math.atan2(state.gripper_pose[1, 0], state.gripper_pose[0, 0])


def jaw_yaw(yaw_rad: float, x_m: float, y_m: float, blocked_rad: Sequence[float] = ()) -> float:
    """Yaw of the gripper's x axis at which the jaws grasp two faces of a cube, with the least turn of the wrist.

    blocked_rad: bearings from the cube in which there is no room for a jaw.
    """
    bearing = math.atan2(y_m, x_m)

    def cost(turn: float) -> tuple[bool, float]:
        is_blocked = any(abs(math.cos(turn - blocked)) > math.sqrt(0.5) for blocked in blocked_rad)
        return is_blocked, abs(wrapped_angle(turn - math.pi - bearing))

    return min((yaw_rad + quarter * math.pi / 2 for quarter in range(4)), key=cost)


def _jaw_yaw(state: WorldState, name: str) -> float:
    """The same for a cube among the others."""
    cube = state.cube_poses[name]
    away = [state.cube_position(other) - cube[:3, 3] for other in state.cube_poses if other != name]
    blocked = [math.atan2(y, x) for x, y, z in away if math.hypot(x, y) < BLOCKED_M and abs(z) < CUBE_M / 2]
    return jaw_yaw(math.atan2(cube[1, 0], cube[0, 0]), cube[0, 3], cube[1, 3], blocked)
