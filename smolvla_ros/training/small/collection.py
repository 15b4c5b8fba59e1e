# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Collects records in the stepped world: a disturbed expert or the network acts, the expert gives the labels.

Labels come from the true state of the world at each record, whoever acts: the expert goes ahead in the world, which
then returns to where it was. With the network acting this is DAgger (Ross et al. 2011).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import cv2
import numpy as np
from tokenizers import Tokenizer

from smolvla_ros.arrays import Float32Array, FloatArray, ImageArray
from smolvla_ros.image import JPEG_QUALITY, fitted_size
from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.appearance import random_appearance
from smolvla_ros.simulation.expert import FIRM_GRIP_RAD, GRASP_POINT, Expert, next_goal
from smolvla_ros.simulation.layout import CUBE_COLOURS, CUBE_M, Layout
from smolvla_ros.simulation.tabletop import CAMERAS, Tabletop
from smolvla_ros.simulation.tasks.instruction import TASKS, random_task, understand
from smolvla_ros.simulation.tasks.pick_place import PickPlace
from smolvla_ros.simulation.tasks.sort import Sort
from smolvla_ros.simulation.tasks.stack import Stack
from smolvla_ros.simulation.tasks.task import CubeTask, Task
from smolvla_ros.simulation.world_state import WorldState
from smolvla_ros.training.small.architecture import Sizes, token_ids
from smolvla_ros.training.small.read_outs import CLASSES, PLACES
from smolvla_ros.training.small.records import INSTRUCTIONS, LABEL_RATE_HZ, LABELS, Records
from smolvla_ros.units import JointUnits, positions_from_lerobot, positions_to_lerobot
from smolvla_ros.urdf import Urdf

# (image by camera of the robot, state (joints,), instruction) -> actions (chunk, joints); LeRobot's units
Chunks = Callable[[Mapping[str, ImageArray], Float32Array, str], Float32Array]

LAYOUTS = {"pick_place": 0.5, "sort": 0.12, "stack": 0.38}  # which layouts, and how often; sorting is long
TASKS_OF_LAYOUT = {  # tasks that are possible in each layout, and how often
    "pick_place": {"pick_place": 0.8, "stack": 0.08, "pick_up": 0.08, "touch": 0.04},
    "sort": {"sort": 1.0},
    "stack": {"stack": 0.76, "pick_up": 0.16, "touch": 0.08},
}
EXPERT_PERIOD_S = 1.0 / LABEL_RATE_HZ
STEPS_S = (
    0.035,
    0.035,
    0.03,
)  # a period in three steps of the world: 30 commands a second, as the executor gives
RECORD_PERIODS = 4  # from record to record
NEAR_M = 0.05  # where precision counts: gripper from target, or from the destination of a raised target
NEAR_PERIODS = 2  # from record to record there
REPLAN_PERIODS = (4, 8)  # the network acts for one of these numbers of periods before it plans again
EPISODE_S = {"sort": 24.0, "pick_place": 12.0, "stack": 10.0}  # of a layout, at most
NEW_TASK_PROBABILITY = 0.06  # at a record: somebody says something else
DONE_PROBABILITY = 0.4  # at a record of a task that is done: the episode ends
APPEARANCE_STRENGTH = 0.5  # at most; see random_appearance
NOISE_RAD = (0.0, 0.03)  # standard deviation of the disturbance of an episode
NOISE_DECAY = 0.7  # from period to period
BURST_PROBABILITY, BURST_RAD = 0.02, 0.12
TRAY_COLOURS = ("white", "red", "blue")
INSTANCES = 2  # of a class of objects in a layout, at most


class Collector:
    """Makes records; the same `seed` makes the same ones, apart from what a network does."""

    def __init__(
        self, robot: RobotSpec, units: list[JointUnits], sizes: Sizes, tokenizer: Tokenizer, seed: int
    ) -> None:
        self._robot, self._units, self._sizes, self._tokenizer = robot, units, sizes, tokenizer
        self._expert = Expert(Urdf.load(robot.urdf_path), grip_rad=FIRM_GRIP_RAD)
        self._random = np.random.default_rng([seed, 3])

    def episode(self, chunks: Chunks | None = None) -> Iterator[Records]:
        """Records of one episode, one at a time; `chunks` of a network act, without it the expert."""
        random = self._random
        kind = str(random.choice(list(LAYOUTS), p=list(LAYOUTS.values())))
        layout, _ = random_task(kind, int(random.integers(2**31)))
        looks = random_appearance(int(random.integers(2**31)), random.uniform(0.0, APPEARANCE_STRENGTH))
        tabletop = Tabletop(self._robot, layout, CAMERAS, looks, jpeg_quality=JPEG_QUALITY)
        task = self._random_task(kind, layout)
        noise_rad = random.uniform(*NOISE_RAD)
        disturbance: FloatArray = np.zeros(self._sizes.joints)
        plan: FloatArray = np.empty((0, self._sizes.joints))
        for period in range(round(EPISODE_S[kind] / EXPERT_PERIOD_S)):
            state = tabletop.state()
            if period % RECORD_PERIODS == 0:
                if task.is_done(state) and random.random() < DONE_PROBABILITY:
                    return
                if random.random() < NEW_TASK_PROBABILITY:
                    task, plan = self._random_task(kind, layout), plan[:0]
            records = period % (NEAR_PERIODS if _is_near(state, task) else RECORD_PERIODS) == 0
            plans = chunks is not None and not len(plan)
            if records or plans:
                images = tabletop.observe().images
                if chunks is not None and not len(plan):
                    plan = self._plan(chunks, images, state, task)
                if records:
                    yield self._record(tabletop, images, state, (task, self._random_task(kind, layout)))
            if chunks is not None:
                target, plan = plan[0], plan[1:]
            else:
                disturbance = NOISE_DECAY * disturbance + random.normal(0.0, noise_rad, len(disturbance))
                if random.random() < BURST_PROBABILITY:
                    disturbance += random.normal(0.0, BURST_RAD, len(disturbance))
                target = self._expert.targets(state, task) + disturbance
            perform(tabletop, target)

    def _random_task(self, kind: str, layout: Layout) -> Task:
        names = TASKS_OF_LAYOUT[kind]
        name = str(self._random.choice(list(names), p=list(names.values())))
        wording = str(self._random.choice(list(TASKS[name])))
        colours = tuple(dict.fromkeys(cube.colour for cube in layout.cubes))
        return understand(wording.format(*self._random.permutation(colours).tolist()), layout)

    def _plan(
        self, chunks: Chunks, images: Mapping[str, ImageArray], state: WorldState, task: Task
    ) -> FloatArray:
        """The next commands of the network's chunk, rad; of random number, as replanning varies."""
        actions = chunks(images, positions_to_lerobot(self._units, state.positions_rad), task.instruction)
        periods = int(self._random.choice(REPLAN_PERIODS))
        actions = actions[:: round(self._sizes.rate_hz / LABEL_RATE_HZ)]
        return positions_from_lerobot(self._units, actions)[1 : 1 + periods]

    def _record(
        self,
        tabletop: Tabletop,
        images: Mapping[str, ImageArray],
        state: WorldState,
        tasks: tuple[Task, ...],
    ) -> Records:
        saved = tabletop.save()
        actions = []
        for task in tasks:
            actions.append(self._label(tabletop, state, task))
            tabletop.restore(saved)
        sizes = self._sizes
        return Records(
            np.stack([fit(images[camera], sizes.image) for camera in CAMERAS])[None],
            positions_to_lerobot(self._units, state.positions_rad)[None],
            np.array(
                [[token_ids(self._tokenizer, task.instruction, sizes.text_tokens) for task in tasks]],
                np.int16,
            ),
            np.stack([positions_to_lerobot(self._units, chunk) for chunk in actions])[None],
            np.stack([_objects_in_view(tabletop, camera, state) for camera in CAMERAS])[None],
            np.stack([_places(state, task) for task in tasks])[None],
        )

    def _label(self, tabletop: Tabletop, state: WorldState, task: Task) -> FloatArray:
        """Actions (LABELS, joints), rad: the present command, then those of the expert, which moves the world."""
        commands = [tabletop.world.targets_rad]
        while len(commands) < LABELS:
            commands.append(self._expert.targets(state, task))
            perform(tabletop, commands[-1])
            state = tabletop.state()
        return np.stack(commands)


def fit(image: ImageArray, side: int) -> ImageArray:
    """An image scaled to fit into a square, bilinear without antialiasing as in inference, without the padding."""
    return cv2.resize(image, fitted_size(image.shape[1], image.shape[0], side, side))  # type: ignore[return-value]


def concatenated(records: list[Records]) -> Records:
    """All records in one."""
    return Records(
        *(np.concatenate([getattr(r, name) for r in records]) for name in Records.__dataclass_fields__)
    )


def perform(tabletop: Tabletop, target_rad: FloatArray) -> None:
    """One period, in which the command goes from the last one to `target_rad` in equal steps, as the executor does."""
    start_rad = tabletop.world.targets_rad
    steps = round(EXPERT_PERIOD_S * tabletop.robot.rate_hz)
    for step in range(1, steps + 1):
        tabletop.step(start_rad + (target_rad - start_rad) * step / steps, EXPERT_PERIOD_S / steps)


def _objects_in_view(tabletop: Tabletop, camera: str, state: WorldState) -> Float32Array:
    """Where in the square image of a camera the objects are, (CLASSES, INSTANCES, 2); NaN: not in view."""
    found = np.full((CLASSES, INSTANCES, 2), np.nan, np.float32)
    names = [(CUBE_COLOURS.index(cube.colour), state.cube_position(cube.name)) for cube in state.layout.cubes]
    names += [
        (len(CUBE_COLOURS) + TRAY_COLOURS.index(tray.colour), np.array([tray.x_m, tray.y_m, 0.01]))
        for tray in state.layout.trays
    ]
    view = tabletop.view(camera)
    points = view.to_camera(np.stack([point for _, point in names]))
    pixels = view.to_pixels(points)
    width, height = view.camera.width, view.camera.height
    count = np.zeros(CLASSES, int)
    for (index, _), point, (column, row) in zip(names, points, pixels, strict=True):
        if point[2] > 0.02 and 0 <= column < width and 0 <= row < height:
            # The image fills the square's width; the padding is above it.
            found[index, count[index]] = column / width, (row + width - height) / width
            count[index] += 1
    return found


def _is_near(state: WorldState, task: Task) -> bool:
    """Whether the gripper is within NEAR_M of the task's target or, with the target raised, of its destination."""
    target, to_target, _, to_destination = _places(state, task)
    away = to_destination[:2] if target[2] > CUBE_M else to_target
    return bool(np.linalg.norm(away) < NEAR_M)


def _places(state: WorldState, task: Task) -> Float32Array:
    """Target and destination, in the root frame and from the gripper, (PLACES, 3) m; NaN where there is none."""
    target: FloatArray = np.full(3, np.nan)
    destination: FloatArray = np.full(3, np.nan)
    if isinstance(task, Sort):
        goal = next_goal(state, task.goals)
        if goal is not None:
            cube, tray = goal
            target, destination = state.cube_position(cube), np.array([tray.x_m, tray.y_m, 0.0])
    elif isinstance(task, Stack):
        target = state.cube_position(task.cube)
        destination = state.cube_position(task.below) + [0.0, 0.0, CUBE_M]
    elif isinstance(task, CubeTask):
        target = state.cube_position(task.cube)
        if isinstance(task, PickPlace):
            destination = np.array([task.tray.x_m, task.tray.y_m, 0.0])
    gripper = state.gripper_point(GRASP_POINT)
    places = np.stack([target, target - gripper, destination, destination - gripper])
    assert len(places) == PLACES and not math.isinf(gripper[0])
    return places.astype(np.float32)


assert INSTRUCTIONS == 2
