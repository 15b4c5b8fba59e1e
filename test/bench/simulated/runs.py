# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs in simulated time: the whole loop for a number of cycles, and all executors on the same trace of chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from simulated.arm import SAMPLE_NS, SimulatedArm
from simulated.controllers import Controller
from simulated.task import STEPS, TASK, Demonstration, PickAndPlacePolicy, Scene, continue_plan

from smolvla_ros.arrays import FloatArray
from smolvla_ros.chunk import ActionChunk, ChunkRequest, RequestReason, steps_until
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.policy.policy import Continuation
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import MotorCalibration

Calibration = Mapping[str, MotorCalibration]

CAMERA_HZ = 30.0
CAMERA_OFFSET_NS = 13_000_000  # cameras are not synchronized with the control loop
LATENCY_SPREAD = 0.1  # latencies are uniformly distributed within this share
SEAM_S = 0.15  # time after the arrival of a chunk that counts as its seam
GUIDED_STEPS = 10  # of real-time chunking, after the steps executed during inference


@dataclass
class Run:
    """The commands of each period, the arm's positions every SAMPLE_NS, and the arrivals of chunks."""

    rate_hz: float
    commands: FloatArray
    arm: FloatArray
    arrivals_ns: list[int]
    starved_s: float
    seconds: float = 0.0
    cycles: float = 0.0
    misses: int = 0


class Inference:
    """Makes chunks with random latencies."""

    def __init__(self, robot: RobotSpec, latency_s: float, seed: int, rtc: bool) -> None:
        self._robot, self._latency_s, self._rtc = robot, latency_s, rtc
        self._step_ns = round(NANOSECONDS / robot.rate_hz)
        self._random = np.random.default_rng([seed, 0])
        self._count = 0

    def latency_ns(self) -> int:
        spread = self._random.uniform(1.0 - LATENCY_SPREAD, 1.0 + LATENCY_SPREAD)
        return round(self._latency_s * spread * NANOSECONDS)

    def continuation(self, request: ChunkRequest, start_ns: int) -> Continuation | None:
        """As in the policy node; the delay is an upper bound of the latency."""
        if not self._rtc or not len(request.prefix):
            return None
        effect_ns = request.stamp_ns + round(self._latency_s * (1.0 + LATENCY_SPREAD) * NANOSECONDS)
        delay = steps_until(effect_ns, start_ns, self._step_ns) + 1
        return Continuation(request.prefix_on_grid(start_ns, self._step_ns), delay, delay + GUIDED_STEPS)

    def chunk(self, request_id: int, positions: FloatArray, stamp_ns: int) -> ActionChunk:
        self._count += 1
        return ActionChunk(
            positions, self._robot.joint_names, stamp_ns, self._step_ns, self._count, request_id, TASK
        )


def whole_loop(
    robot: RobotSpec,
    calibration: Calibration,
    controller: Controller,
    rate_hz: float,
    latency_s: float,
    seed: int,
    rtc: bool,
    cycles: float,
    limit_s: float,
    steps: int = STEPS,
) -> Run:
    """Run camera, policy, executor and arm until `cycles` are done or `limit_s` is over.

    Of each chunk the first `steps` actions are used.
    """
    demonstration = Demonstration(robot)
    arm = SimulatedArm(robot, calibration, demonstration.at(np.zeros(1))[0])
    scene, policy = Scene(demonstration), PickAndPlacePolicy(robot, seed)
    inference = Inference(robot, latency_s, seed, rtc)
    commands, arrivals = [], []
    due: tuple[int, ActionChunk] | None = None
    request: ChunkRequest | None = None
    observation = scene.observe(arm.joints())
    frame = tick = 0
    while scene.cycles < cycles and arm.now_ns < limit_s * NANOSECONDS:
        tick += 1
        now_ns = round(tick / rate_hz * NANOSECONDS)
        while (camera_ns := round(frame / CAMERA_HZ * NANOSECONDS) + CAMERA_OFFSET_NS) <= now_ns:
            arm.advance_to(camera_ns)
            observation = scene.observe(arm.joints())
            frame += 1
        arm.advance_to(now_ns)
        if due is not None and due[0] <= now_ns:
            controller.accept(due[1], now_ns)
            arrivals.append(now_ns)
            due = None
        command = controller.step(now_ns, arm.joints())
        if command is not None:
            arm.go_to(command)
        commands.append(arm.goal_rad)
        request = controller.request(now_ns) or request
        stamp_ns = observation.stamp_ns
        # as in the policy node: the first request after arming waits for an image taken after arming
        if request is not None and (
            request.reason is not RequestReason.START or stamp_ns >= request.stamp_ns
        ):
            positions = policy.infer(observation, inference.continuation(request, stamp_ns))[:steps]
            due = (now_ns + inference.latency_ns(), inference.chunk(request.request_id, positions, stamp_ns))
            request = None
    starved_s = controller.starved_periods / rate_hz
    return Run(
        rate_hz,
        np.array(commands),
        np.array(arm.trace),
        arrivals,
        starved_s,
        arm.now_ns / NANOSECONDS,
        scene.cycles,
        scene.misses,
    )


@dataclass(frozen=True)
class TracedChunk:
    """The times of request, observation and arrival, and the positions (steps, joints) rad."""

    request_ns: int
    stamp_ns: int
    arrival_ns: int
    positions: FloatArray


def make_trace(robot: RobotSpec, seconds: float, latency_s: float, seed: int) -> list[TracedChunk]:
    """Chunks for an arm that follows perfectly, so that they depend only on time."""
    policy, inference = PickAndPlacePolicy(robot, seed), Inference(robot, latency_s, seed, rtc=False)
    random = np.random.default_rng([seed, 1])
    trace, request_ns = [], 100_000_000
    while request_ns < seconds * NANOSECONDS:
        stamp_ns = request_ns - round(random.uniform(0.0, 1.0 / CAMERA_HZ) * NANOSECONDS)
        arrival_ns = request_ns + inference.latency_ns()
        trace.append(TracedChunk(request_ns, stamp_ns, arrival_ns, policy.chunk(stamp_ns / NANOSECONDS)))
        request_ns = arrival_ns + round(random.uniform(0.1, 0.3) * NANOSECONDS)
    return trace


def follow_trace(
    robot: RobotSpec,
    calibration: Calibration,
    controller: Controller,
    rate_hz: float,
    latency_s: float,
    trace: list[TracedChunk],
    rtc: bool,
) -> Run:
    """Run a controller on the chunks of a trace, at the same times for every controller."""
    arm = SimulatedArm(robot, calibration, Demonstration(robot).at(np.zeros(1))[0])
    inference = Inference(robot, latency_s, 0, rtc)
    commands, arrivals, waiting = [], [], list(trace)
    due: tuple[int, ActionChunk] | None = None
    tick = 0
    while waiting or due:
        tick += 1
        now_ns = round(tick / rate_hz * NANOSECONDS)
        arm.advance_to(now_ns)
        if due is not None and due[0] <= now_ns:
            controller.accept(due[1], now_ns)
            arrivals.append(now_ns)
            due = None
        command = controller.step(now_ns, arm.joints())
        if command is not None:
            arm.go_to(command)
        commands.append(arm.goal_rad)
        if due is None and waiting and waiting[0].request_ns <= now_ns:
            traced = waiting.pop(0)
            request = controller.request(now_ns)
            assert request is not None, "the executor made no request at the time of the trace's"
            continuation = inference.continuation(request, traced.stamp_ns)
            positions = (
                traced.positions if continuation is None else continue_plan(traced.positions, continuation)
            )
            due = (traced.arrival_ns, inference.chunk(request.request_id, positions, traced.stamp_ns))
    seconds = arm.now_ns / NANOSECONDS
    starved_s = controller.starved_periods / rate_hz
    return Run(rate_hz, np.array(commands), np.array(arm.trace), arrivals, starved_s, seconds)


def derivatives(positions: FloatArray, rate_hz: float) -> tuple[FloatArray, FloatArray]:
    """Acceleration and jerk, (samples - 3, joints) each, of positions at a steady rate."""
    return np.diff(positions, 2, axis=0)[1:] * rate_hz**2, np.diff(positions, 3, axis=0) * rate_hz**3


def rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0


def smoothness(run: Run, skip_s: float = 0.0) -> dict[str, float]:
    """Acceleration and jerk of the commands and of the arm; seam: only within SEAM_S after a chunk arrived."""
    result = {}
    for name, positions, rate_hz in (
        ("command", run.commands, run.rate_hz),
        ("arm", run.arm, NANOSECONDS / SAMPLE_NS),
    ):
        acceleration, jerk = derivatives(positions, rate_hz)
        at_s = (np.arange(len(jerk)) + 4) / rate_hz  # time of the newest sample of each value
        at_seam = np.zeros(len(jerk), bool)
        for arrival_ns in run.arrivals_ns:
            since_s = at_s - arrival_ns / NANOSECONDS
            at_seam |= (since_s > -0.5 / rate_hz) & (since_s <= SEAM_S)
        counted = at_s > skip_s
        for what, values in (("acceleration", acceleration), ("jerk", jerk)):
            result[f"{name}_{what}_max"] = float(np.abs(values[counted]).max())
            result[f"{name}_{what}_rms"] = rms(values[counted])
            result[f"{name}_seam_{what}_max"] = float(np.abs(values[counted & at_seam]).max())
            result[f"{name}_seam_{what}_rms"] = rms(values[counted & at_seam])
    return result


def tracking(robot: RobotSpec, run: Run, skip_s: float) -> dict[str, float]:
    """Distance of the arm from the demonstration, rad."""
    at_s = (np.arange(len(run.arm)) + 1) * SAMPLE_NS / NANOSECONDS
    error = (run.arm - Demonstration(robot).at(at_s))[at_s > skip_s]
    return {"tracking_rms": rms(error), "tracking_max": float(np.abs(error).max())}
