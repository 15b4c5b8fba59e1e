# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes the commands towards a target: soft start, limits, and braking to rest."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.execution.safety import SafetyLimiter
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import RobotSpec

SOFT_START_SCALE = 0.1  # share of the step limit that the first command after a rest may use


class MotionSettings(Protocol):
    """How fast commands may change; part of the settings of executor and teleoperation."""

    @property
    def rate_hz(self) -> float: ...
    @property
    def max_step_rad(self) -> float: ...
    @property
    def max_acceleration_rad_s2(self) -> float: ...
    @property
    def soft_start_s(self) -> float: ...


class CommandShaper:
    """Computes each command from the last one. In each control period call `move_towards` or `brake`."""

    def __init__(self, config: MotionSettings, robot: RobotSpec) -> None:
        self._robot = robot
        self.clamps = np.zeros(len(robot.joints), np.int64)  # commands that were limited, per joint
        self.start_over()
        self.reconfigure(config)

    def reconfigure(self, config: MotionSettings) -> None:
        """Use other limits."""
        self._soft_start_ns = config.soft_start_s * NANOSECONDS
        self._limiter = SafetyLimiter(
            self._robot, config.max_step_rad, config.max_acceleration_rad_s2, 1.0 / config.rate_hz
        )

    def start_over(self) -> None:
        """Discard the last command: the next one starts from a measured pose."""
        self.last_rad: FloatArray | None = None  # the last command, in shadow one that was not sent
        self._step_rad: FloatArray = np.zeros(len(self._robot.joints))  # change by the last command
        self._target_rad: FloatArray | None = None  # its target; None while at rest or braking
        self._moving_since_ns: int | None = None  # set while it moves towards targets

    def start_problem(self, positions_rad: FloatArray) -> str:
        """Why no motion may start at this pose; empty if it may."""
        return self._limiter.start_problem(positions_rad)

    def start_at(self, positions_rad: FloatArray) -> None:
        """Start at this pose unless there is a last command."""
        if self.last_rad is None:
            self.last_rad = positions_rad.copy()

    def move_towards(self, target_rad: FloatArray, now_ns: int) -> None:
        """Move towards a target (joints,) rad as far as one period allows; raises SafetyError."""
        assert self.last_rad is not None  # see start_at
        if self._moving_since_ns is None:
            self._moving_since_ns = now_ns
        limited = self._limiter.limit(
            target_rad,
            self.last_rad,
            self._step_rad,
            self._target_rad,
            self._softness(now_ns - self._moving_since_ns),
        )
        self._set_command(limited.positions_rad)
        self._target_rad = target_rad
        self.clamps += limited.clamped

    def start_softly(self) -> None:
        """Another source of targets: approach its first one as after a rest. The last command is kept."""
        self._moving_since_ns = self._target_rad = None

    def brake(self) -> None:
        """Without a target: brake, then stay."""
        self.start_softly()
        if self.last_rad is not None and self._step_rad.any():
            self._set_command(self._limiter.brake(self.last_rad, self._step_rad))

    def _set_command(self, positions_rad: FloatArray) -> None:
        assert self.last_rad is not None
        self._step_rad = positions_rad - self.last_rad
        self.last_rad = positions_rad

    def _softness(self, moving_ns: int) -> float:
        """Share of the step limit: from SOFT_START_SCALE to 1 over soft_start_s of motion."""
        done = min(moving_ns / self._soft_start_ns, 1.0) if self._soft_start_ns else 1.0
        return SOFT_START_SCALE + (1.0 - SOFT_START_SCALE) * done
