# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A pick-and-place cycle: its demonstration, what a camera sees of it, and a policy that imitates it with errors.

The errors are like those of a trained policy: of two possible paths each chunk takes a random one, errors grow with the
step of the chunk, and actions are noisy. They depend only on the seed and the number of the chunk, so they are the same
for every executor.
"""

from __future__ import annotations

import math

import numpy as np

from smolvla_ros.arrays import FloatArray, IntArray
from smolvla_ros.finding import Finding
from smolvla_ros.observation import NANOSECONDS, Frame, Observation
from smolvla_ros.policy.policy import Continuation
from smolvla_ros.robot import Joints, RobotSpec

CAMERA = "top"
TASK = "pick up the red cube"
STEPS = 50
# By how much a leader arm is ahead of its follower: the lag of the servos and half a period of 30 Hz.
LEAD_S = 0.055

# Pose at the end of each stage, rad from the joints' middles (pan, lift, elbow, flex, roll, gripper), and its duration.
HOME = (0.0, 0.0, 0.0, 0.0, 0.0, -0.4)
STAGES: tuple[tuple[tuple[float, ...], float], ...] = (
    ((0.6, 0.2, -0.2, 0.1, 0.4, 0.4), 1.4),  # above the cube
    ((0.6, 0.5, -0.1, 0.3, 0.4, 0.4), 0.9),  # down
    ((0.6, 0.5, -0.1, 0.3, 0.4, -0.2), 0.5),  # grasp
    ((0.6, 0.1, -0.2, 0.1, 0.4, -0.2), 0.8),  # up
    ((-0.6, 0.1, -0.2, 0.1, -0.2, -0.2), 1.6),  # over the box
    ((-0.6, 0.3, -0.1, 0.2, -0.2, -0.2), 0.7),  # down
    ((-0.6, 0.3, -0.1, 0.2, -0.2, 0.4), 0.4),  # release
    (HOME, 1.5),
)
CHECKED = (2, 6)  # stages that start only within TOLERANCE_RAD of their start pose: grasp and release
TOLERANCE_RAD = 0.06
PHASE_WEIGHTS = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.3])  # of the joints in estimating the phase

PATH_OFFSET_RAD = np.array([0.05, 0.04, -0.03, 0.0, 0.05, 0.0])  # plus or minus, at the middle of a stage
ERROR_RAD = 0.004  # standard deviation of a chunk's error at its first action ...
ERROR_PER_STEP_RAD = 0.0004  # ... and what every further action adds
NOISE_RAD = 0.001  # standard deviation, independent for each action


class Demonstration:
    """The demonstrated cycle, repeated: minimum-jerk motions from pose to pose."""

    def __init__(self, robot: RobotSpec) -> None:
        middle = np.array([joint.middle_rad for joint in robot.joints])
        self._poses = middle + np.array([HOME, *(pose for pose, _ in STAGES)])
        self.ends_s = np.cumsum([0.0, *(duration_s for _, duration_s in STAGES)])

    @property
    def cycle_s(self) -> float:
        return float(self.ends_s[-1])

    def stage(self, phase_s: FloatArray) -> tuple[IntArray, FloatArray]:
        """The stage at each phase, and the share of it that is done (0 .. 1)."""
        phase_s = np.mod(phase_s, self.cycle_s)
        stage = np.clip(np.searchsorted(self.ends_s, phase_s, side="right") - 1, 0, len(STAGES) - 1)
        return stage, (phase_s - self.ends_s[stage]) / (self.ends_s[stage + 1] - self.ends_s[stage])

    def at(self, phase_s: FloatArray) -> FloatArray:
        """Positions (phases, joints)."""
        stage, share = self.stage(phase_s)
        done = (share**3 * (10.0 - 15.0 * share + 6.0 * share**2))[:, None]
        return np.asarray((1.0 - done) * self._poses[stage] + done * self._poses[stage + 1])


class Scene:
    """Estimates the progress from the arm's pose; a grasp or release at a wrong pose is repeated."""

    def __init__(self, demonstration: Demonstration) -> None:
        self._demonstration = demonstration
        self._ahead_s = np.arange(-0.2, 0.8, 0.01)
        self._observed_ns = 0
        self.phase_s = 0.0  # increases over all cycles
        self.misses = 0

    @property
    def cycles(self) -> float:
        return self.phase_s / self._demonstration.cycle_s

    def observe(self, joints: Joints) -> Observation:
        """Update the phase from the pose; the image's only pixel contains the phase in milliseconds."""
        demonstration = self._demonstration
        phases_s = np.maximum(self.phase_s + self._ahead_s, 0.0)
        away_rad = np.linalg.norm(PHASE_WEIGHTS * (demonstration.at(phases_s) - joints.positions_rad), axis=1)
        # where the path hardly moves, phases differ only in time
        early_s = phases_s - self.phase_s - (joints.stamp_ns - self._observed_ns) / NANOSECONDS
        found_s = float(phases_s[((away_rad / 0.01) ** 2 + (early_s / 0.1) ** 2).argmin()])
        self._observed_ns = joints.stamp_ns
        (before,), _ = demonstration.stage(np.array([self.phase_s]))
        (after,), _ = demonstration.stage(np.array([found_s]))
        if after != before and after in CHECKED and found_s > self.phase_s:
            start_rad = demonstration.at(np.array([demonstration.ends_s[after]]))[0]
            if np.abs(start_rad - joints.positions_rad)[:-1].max() > TOLERANCE_RAD:
                self.misses += 1
                start_s = math.floor(found_s / demonstration.cycle_s) * demonstration.cycle_s
                found_s = start_s + float(demonstration.ends_s[after - 1])
        self.phase_s = found_s
        milliseconds = round(1e3 * (found_s % demonstration.cycle_s))
        image = np.array([[[milliseconds >> 8, milliseconds & 255, 0]]], np.uint8)
        return Observation({CAMERA: Frame(CAMERA, joints.stamp_ns, image)}, joints, TASK)


class PickAndPlacePolicy:
    """Imitates the demonstration from the phase in the image, with the errors described above."""

    name = "pick_and_place"
    cameras = (CAMERA,)

    def __init__(self, robot: RobotSpec, seed: int) -> None:
        self._demonstration = Demonstration(robot)
        self._step_s = np.arange(STEPS) / robot.rate_hz
        self._seed = seed
        self._count = 0

    def infer(self, observation: Observation, continuation: Continuation | None = None) -> FloatArray:
        red, green, _ = (int(value) for value in observation.frames[CAMERA].image[0, 0])
        phase_s = (256 * red + green) / 1e3
        away = observation.joints.positions_rad - self._demonstration.at(np.array([phase_s]))[0]
        back = np.exp(-np.arange(STEPS) / 10.0)[:, None]
        chunk = self.chunk(phase_s) + back * away
        return chunk if continuation is None else continue_plan(chunk, continuation)

    def chunk(self, phase_s: float) -> FloatArray:
        """Positions (STEPS, joints) rad from a phase on, for an arm that follows perfectly."""
        self._count += 1
        random = np.random.default_rng([self._seed, self._count])
        phases_s = phase_s + LEAD_S + self._step_s
        path_offset = random.choice([-1.0, 1.0]) * PATH_OFFSET_RAD
        bulge = np.sin(np.pi * self._demonstration.stage(phases_s)[1])[:, None] ** 2
        error = random.normal(size=6) * (ERROR_RAD + ERROR_PER_STEP_RAD * np.arange(STEPS))[:, None]
        noise = random.normal(scale=NOISE_RAD, size=(STEPS, 6))
        return np.asarray(self._demonstration.at(phases_s) + bulge * path_offset + error + noise)

    def check_pose(self, positions_rad: FloatArray, max_sigma: float) -> Finding | None:
        return None

    def reset(self) -> None:
        self._count = 0


def continue_plan(chunk: FloatArray, continuation: Continuation) -> FloatArray:
    """Ideal real-time chunking: the old plan for the steps of the delay, then a blend with schedule "exp"."""
    delay = continuation.inference_delay
    end = min(continuation.execution_horizon, len(continuation.positions))
    falling = np.linspace(1.0, 0.0, max(end - delay, 0) + 2)[1:-1]
    weight = np.concatenate([np.ones(min(delay, end)), falling * np.expm1(falling) / np.expm1(1.0)])[:, None]
    continued = chunk.copy()
    continued[: len(weight)] = (1.0 - weight) * chunk[: len(weight)] + weight * continuation.positions[
        : len(weight)
    ]
    return continued
