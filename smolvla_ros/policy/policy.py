# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of a policy: from an observation to joint positions over time, rad.

Implemented by a checkpoint (`robot_policy.py`), here or on another computer, and by a fixed motion (`scripted.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from smolvla_ros.arrays import FloatArray
from smolvla_ros.finding import Finding
from smolvla_ros.observation import Observation


class PolicyError(ValueError):
    """A policy does not fit the robot, or cannot use an observation; the message names both and the remedy."""


class PolicyUnavailableError(PolicyError):
    """A policy on another computer does not answer now; a later observation may get an answer."""


@dataclass(frozen=True, eq=False)
class Continuation:
    """Real-time chunking: the plan that is executed while a chunk is inferred, and which the chunk shall continue.

    positions: (rows, joints) rad, row k for the moment at which the chunk's action k is due.
    inference_delay: rows that are executed before the chunk can take effect.
    execution_horizon, schedule, max_guidance_weight: see `GuidanceSettings`.
    """

    positions: FloatArray
    inference_delay: int
    execution_horizon: int = 10
    schedule: str = "exp"
    max_guidance_weight: float = 10.0


@runtime_checkable
class ObservesWorld(Protocol):
    """A policy that is told the state of a simulated world, beside what it observes."""

    def observe_world(self, message: Any) -> None:
        """The newest state: a WorldState message, or anything with its fields."""


@runtime_checkable
class LooksAhead(Protocol):
    """A policy that can compute what depends on the images alone before a chunk is asked for."""

    def look(self, observation: Observation) -> bool:
        """Compute it for these frames. The next `infer` uses it if it gets the same frames; chunks are the same.

        False: this policy cannot, and has computed nothing.
        """


class Policy(Protocol):
    """Computes actions from observations."""

    @property
    def name(self) -> str:
        """Checkpoint name and revision; part of every chunk."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the robot's cameras that an observation must have."""

    @property
    def rate_hz(self) -> float:
        """Actions per second of its chunks."""

    def infer(self, observation: Observation, continuation: Continuation | None = None) -> FloatArray:
        """Positions of shape (steps, joints), rad, the first one due when the observation was made."""

    def check_pose(self, positions_rad: FloatArray, max_sigma: float) -> Finding | None:
        """Why the policy must not start at positions (joints,), rad, if so; `max_sigma` as in pose.py, 0: no check."""

    def reset(self) -> None:
        """Reset: later chunks are independent of earlier ones."""
