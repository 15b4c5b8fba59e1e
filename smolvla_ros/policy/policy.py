# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a policy is: an observation in, joint positions over time out, in radians.

The policy node knows only this; what stands behind it is a checkpoint (`robot_policy.py`) or a known motion
(`scripted.py`).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from smolvla_ros.observation import Observation


class PolicyError(ValueError):
    """A policy that does not fit the robot, or an observation it cannot use; the message names both and the remedy."""


class Policy(Protocol):
    """Anything that turns what the robot sees into what it shall do next."""

    @property
    def name(self) -> str:
        """Checkpoint name and revision, as written into every chunk."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """The robot's cameras (by name) that an observation must hold."""

    def infer(self, observation: Observation) -> npt.NDArray[np.float64]:
        """Positions of shape (steps, joints), rad, the first one due when the observation was made."""
