# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the executor behaves: its settings, with their bounds and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

from smolvla_ros.execution.fusion import FUSIONS
from smolvla_ros.settings import SettingError, check_settings, setting


class ExecutorConfigError(ValueError):
    """A setting of the executor outside its range or choices."""


@dataclass(frozen=True)
class ExecutorConfig:
    """How the executor behaves; field names are those of its ROS parameters."""

    mode: str = setting("disarmed", "state to start in", choices=("disarmed", "shadow", "armed"))
    rate_hz: float = setting(30.0, "joint commands per second", minimum=1.0, maximum=200.0)
    fusion: str = setting(
        "linear_blend", "how a new chunk and the present plan become one", choices=tuple(FUSIONS), live=True
    )
    threshold: float = setting(
        0.7, "ask for a chunk when this share of the last one is left", minimum=0.0, maximum=1.0, live=True
    )
    request_timeout_s: float = setting(
        10.0, "ask again when a request stays unanswered for so long", minimum=0.05, maximum=600.0
    )
    max_step_rad: float = setting(
        0.15, "most that a joint's command changes per control period", minimum=0.0001, maximum=1.0
    )
    soft_start_s: float = setting(
        1.0, "after a rest the step limit grows to its full size in this time", minimum=0.0, maximum=60.0
    )
    stale_after_s: float = setting(0.2, "hold when joint states are older (s)", minimum=0.01, maximum=10.0)
    max_ahead_s: float = setting(
        0.05, "how far stamps may lie in the future: clocks of two machines differ", minimum=0.0, maximum=1.0
    )

    def __post_init__(self) -> None:
        try:
            check_settings(self)
        except SettingError as error:
            raise ExecutorConfigError(str(error)) from error
