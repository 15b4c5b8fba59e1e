# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a policy is: an observation in, joint positions over time out, in radians.

The policy node knows only this; what stands behind it is a checkpoint (`robot_policy.py`) or a known motion
(`scripted.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from smolvla_ros.finding import Finding
from smolvla_ros.observation import Observation


class PolicyError(ValueError):
    """A policy that does not fit the robot, or an observation it cannot use; the message names both and the remedy."""


@dataclass(frozen=True, eq=False)
class Continuation:
    """Real-time chunking: what is executed while a chunk is inferred, for the chunk to go on from.

    positions: (rows, joints) rad, row k for the moment at which the chunk's action k is due.
    inference_delay: rows that are executed before the chunk can take effect.
    execution_horizon, schedule, max_guidance_weight: how far and how firmly it is followed (`GuidanceSettings`).
    """

    positions: npt.NDArray[np.float64]
    inference_delay: int
    execution_horizon: int = 10
    schedule: str = "exp"
    max_guidance_weight: float = 10.0


class Policy(Protocol):
    """Anything that turns what the robot sees into what it shall do next."""

    @property
    def name(self) -> str:
        """Checkpoint name and revision, as written into every chunk."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """The robot's cameras (by name) that an observation must hold."""

    def infer(
        self, observation: Observation, continuation: Continuation | None = None
    ) -> npt.NDArray[np.float64]:
        """Positions of shape (steps, joints), rad, the first one due when the observation was made."""

    def check_pose(self, positions_rad: npt.NDArray[np.float64], max_sigma: float) -> Finding | None:
        """What is wrong with starting from positions (joints,), rad; `max_sigma` as in pose.py, 0: nothing is."""

    def reset(self) -> None:
        """Start over: what comes next is independent of what was inferred before."""
