# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of real-time chunking (`smolvla/realtime_chunking.py`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from smolvla_ros.policy.policy import PolicyError

SCHEDULES = ("zeros", "ones", "linear", "exp")


@dataclass(frozen=True)
class GuidanceSettings:
    """How a new chunk is guided towards the remaining plan; raises PolicyError for invalid values.

    inference_delay: rows of the plan that are executed before the new chunk can take effect.
    execution_horizon: the row from which on the new chunk is not guided.
    schedule: weights between these rows: "zeros", "ones", "linear" (falling), or "exp" (falls faster).
    max_weight: bound of the guidance, which is largest at both ends of the flow.
    """

    inference_delay: int = 0
    execution_horizon: int = 10
    schedule: str = "exp"
    max_weight: float = 10.0

    def __post_init__(self) -> None:
        if self.inference_delay < 0:
            raise PolicyError(f"inference_delay is {self.inference_delay}, expected 0 or more rows")
        if self.execution_horizon < 1:
            raise PolicyError(f"execution_horizon is {self.execution_horizon}, expected 1 row or more")
        if self.schedule not in SCHEDULES:
            raise PolicyError(f"schedule is {self.schedule!r}, expected one of {', '.join(SCHEDULES)}")
        if not (math.isfinite(self.max_weight) and self.max_weight >= 0):
            raise PolicyError(f"max_guidance_weight is {self.max_weight}, expected a number from 0 on")
