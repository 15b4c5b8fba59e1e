# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy with a fixed smooth motion: a sine about the middle of every joint. For tests and runs without torch.

The motion depends on absolute time only, so chunks of different observations agree exactly where they overlap, and the
error added by an executor can be measured.
"""

from __future__ import annotations

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.finding import Finding
from smolvla_ros.observation import NANOSECONDS, Observation
from smolvla_ros.policy.policy import Continuation
from smolvla_ros.robot import RobotSpec


class ScriptedPolicy:
    """Sine of `amplitude_rad` about each joint's middle, one period in `period_s`, joints evenly out of phase."""

    name = "scripted"

    def __init__(
        self,
        robot: RobotSpec,
        cameras: tuple[str, ...] = (),
        steps: int = 50,
        amplitude_rad: float = 0.2,
        period_s: float = 4.0,
    ) -> None:
        self.cameras = cameras
        self.rate_hz = robot.rate_hz
        self._middle_rad = np.array([joint.middle_rad for joint in robot.joints])
        self._phase = np.linspace(0.0, np.pi, len(robot.joints), endpoint=False)
        self._step_s = np.arange(steps) / robot.rate_hz
        self._amplitude_rad = amplitude_rad
        self._period_s = period_s

    def infer(self, observation: Observation, continuation: Continuation | None = None) -> FloatArray:
        period_ns = round(self._period_s * NANOSECONDS)
        start_s = (observation.stamp_ns % period_ns) / NANOSECONDS
        angle = 2.0 * np.pi * (start_s + self._step_s) / self._period_s
        return np.asarray(self._middle_rad + self._amplitude_rad * np.sin(angle[:, None] + self._phase))

    def check_pose(self, positions_rad: FloatArray, max_sigma: float) -> Finding | None:
        """None: there is no training data."""
        return None

    def reset(self) -> None:
        """Does nothing: there is no state."""
