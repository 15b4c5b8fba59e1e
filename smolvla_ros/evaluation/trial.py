# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One trial: a policy behind the real executor in the stepped world, in which time passes only when it is stepped.

The policy is asked as the executor asks for chunks, and each chunk arrives `latency_s` later, while the arm goes on
with the old plan. So synchronous and asynchronous execution, fusions and slow policies are compared without a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray, ImageArray
from smolvla_ros.chunk import ActionChunk, ChunkError, ChunkRequest
from smolvla_ros.evaluation.conditions import Conditions
from smolvla_ros.evaluation.results import TrialResult, roughness
from smolvla_ros.execution.chunk_executor import ChunkExecutor
from smolvla_ros.image import JPEG_QUALITY
from smolvla_ros.observation import NANOSECONDS, Frame, Observation
from smolvla_ros.policy.policy import ObservesWorld, Policy
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.simulation.appearance import random_appearance
from smolvla_ros.simulation.layout import CUBE_COLOURS, Layout
from smolvla_ros.simulation.tabletop import CAMERAS, Tabletop
from smolvla_ros.simulation.tasks.instruction import random_task
from smolvla_ros.simulation.tasks.task import Progress

LAYOUT_SEEDS = 1_000_000  # layouts of trials begin there; no demonstration has them
EPISODE_SEEDS = 10_000  # between the first layouts of two seeds of `evaluate`
START_NS = NANOSECONDS  # the time 0 means "unknown" to the executor
PUSH_M_S = 0.9
WATCH_HZ = 10.0
Watcher = Callable[[dict[str, ImageArray], Progress], None]


@dataclass(frozen=True)
class _WorldState:
    """What a policy that looks at the state of the world is told; the fields of WorldState.msg that it needs."""

    layout: str
    seed: int
    state: FloatArray


class Trial:
    """One policy on one robot; `run` makes a trial of a seed."""

    def __init__(self, policy: Policy, robot: RobotSpec, conditions: Conditions) -> None:
        self._policy, self._robot, self._conditions = policy, robot, conditions

    def run(self, seed: int, watch: Watcher | None = None) -> TrialResult:
        """Until success, or the time is over. `watch` gets images and progress ten times a second."""
        run = _Run(self._policy, self._robot, self._conditions, seed)
        total = round(self._conditions.duration_s * run.rate_hz)
        while run.periods < total and not run.progress.is_success:
            run.step()
            if watch is not None and run.periods % round(run.rate_hz / WATCH_HZ) == 0:
                watch(run.tabletop.observe().images, run.progress)
        return run.result()


class _Run:
    """A trial that is under way."""

    def __init__(self, policy: Policy, robot: RobotSpec, conditions: Conditions, seed: int) -> None:
        self._policy, self._robot, self._conditions, self._seed = policy, robot, conditions, seed
        layout, self._task = random_task(
            conditions.task, LAYOUT_SEEDS + seed, conditions.wordings, conditions.distractors
        )
        self._said = self._task.instruction
        if conditions.instruction == "shuffled":
            self._said = _shuffled(self._said, layout, seed)
        looks = random_appearance(LAYOUT_SEEDS + seed, conditions.appearance)
        cameras = tuple(dict.fromkeys((*policy.cameras, *CAMERAS)))
        self.tabletop = Tabletop(robot, layout, cameras, looks, jpeg_quality=JPEG_QUALITY, seed=seed)
        self.progress = Progress(self._task)
        config = conditions.executor_config()
        self.rate_hz = config.rate_hz
        self._executor = ChunkExecutor(config, robot)
        self._executor.start(START_NS)
        self._executor.set_task(self._said, START_NS)
        self._policy.reset()
        self._commands: list[FloatArray] = []
        self._pending: tuple[int, ActionChunk] | None = None  # a chunk, and when it arrives
        self._chunks = self.periods = 0
        self._was_moved = False

    def step(self) -> None:
        """One period of the executor."""
        now_ns = self._now_ns()
        self._executor.update_joints(self._joints(now_ns))
        self._receive(now_ns)
        command = self._executor.step(now_ns)
        request = self._executor.request(now_ns)
        if request is not None and self._pending is None:
            arrival_ns = now_ns + round(self._conditions.latency_s * NANOSECONDS)
            self._pending = arrival_ns, self._infer(request, now_ns)
            self._receive(now_ns)
        if command is not None:
            self._commands.append(command.positions_rad)
        self._move_cube()
        target = self.tabletop.world.targets_rad if command is None else command.positions_rad
        self.tabletop.step(target, 1.0 / self.rate_hz)
        self.progress.observe(self.tabletop.state())
        self.periods += 1

    def result(self) -> TrialResult:
        """What it has come to."""
        progress = self.progress
        return TrialResult(
            seed=self._seed,
            instruction=self._task.instruction,
            said=self._said,
            success=progress.is_success,
            score=progress.score,
            time_s=progress.success_s,
            wrong_object=progress.wrong_object,
            dropped=progress.was_dropped,
            stuck=progress.is_stuck,
            hit_table=progress.hit_table,
            reached=progress.reached,
            chunks=self._chunks,
            starved_periods=self._executor.status(self._now_ns()).starved_periods,
            periods=self.periods,
            roughness=roughness(self._commands),
            conditions=asdict(self._conditions),
        )

    def _now_ns(self) -> int:
        return START_NS + round(self.periods / self.rate_hz * NANOSECONDS)

    def _joints(self, now_ns: int) -> Joints:
        world = self.tabletop.world
        return Joints(now_ns, world.positions_rad, world.velocities_rad_s)

    def _receive(self, now_ns: int) -> None:
        """Give the executor a chunk that has arrived; one that it refuses it counts, and asks again."""
        if self._pending is None or self._pending[0] > now_ns:
            return
        _, chunk = self._pending
        self._pending = None
        with suppress(ChunkError):
            self._executor.accept(chunk, now_ns)

    def _infer(self, request: ChunkRequest, now_ns: int) -> ActionChunk:
        if isinstance(self._policy, ObservesWorld):
            state = _WorldState(self._conditions.task, LAYOUT_SEEDS + self._seed, self.tabletop.save())
            self._policy.observe_world(state)
        render = self.tabletop.render
        frames = {name: Frame(name, now_ns, render(name)) for name in self._policy.cameras}
        self._chunks += 1
        return ActionChunk(
            positions=self._policy.infer(Observation(frames, self._joints(now_ns), self._said)),
            joint_names=self._robot.joint_names,
            observation_stamp_ns=now_ns,
            step_duration_ns=round(NANOSECONDS / self._policy.rate_hz),
            chunk_id=self._chunks,
            request_id=request.request_id,
            task=self._said,
            policy=self._policy.name,
            inference_duration_s=self._conditions.latency_s,
        )

    def _move_cube(self) -> None:
        after_s = self._conditions.moved_after_s
        if after_s and not self._was_moved and self.periods >= after_s * self.rate_hz:
            self._was_moved = True
            self.tabletop.world.push(self._task.cubes[0], _random_push(self._seed))


def _shuffled(instruction: str, layout: Layout, seed: int) -> str:
    """The instruction with colours of random cubes on the table, which by chance may be those that are meant."""
    colours = [cube.colour for cube in layout.cubes]
    drawn = iter(np.random.default_rng([seed, 5]).permutation(colours).tolist())
    words = [str(next(drawn)) if word in CUBE_COLOURS else word for word in instruction.split()]
    return " ".join(words)


def _random_push(seed: int) -> tuple[float, float]:
    """To any side, far enough for the cube to slide some centimetres."""
    angle = np.random.default_rng([seed, 4]).uniform(-np.pi, np.pi)
    return PUSH_M_S * float(np.cos(angle)), PUSH_M_S * float(np.sin(angle))
