# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the executor."""

from __future__ import annotations

from dataclasses import dataclass

from smolvla_ros.execution.fusion import FUSIONS, TASK_CHANGE_FUSIONS, FusionSettings
from smolvla_ros.settings import setting


@dataclass(frozen=True)
class ExecutorConfig(FusionSettings):
    """Settings of the executor; field names are those of its ROS parameters."""

    mode: str = setting("disarmed", "what the executor starts as", choices=("disarmed", "shadow", "armed"))
    rate_hz: float = setting(30.0, "joint commands per second", bounds=(1.0, 200.0))
    fusion: str = setting(
        "smooth", "how a new chunk and the present plan become one", choices=tuple(FUSIONS), live=True
    )
    on_task_change: str = setting(
        "flush",
        "the old task's plan: flush it and hold, finish what is queued until the new task's chunk comes, or blend the "
        "two as by fusion smooth",
        choices=("flush", *TASK_CHANGE_FUSIONS),
        live=True,
    )
    max_chunk_age_s: float = setting(
        4.0, "refuse a chunk whose observation is older (s)", bounds=(0.1, 600.0), live=True
    )
    trigger: str = setting(
        "threshold",
        "when to ask for a chunk: at `threshold`, at one that is found from the latencies, or when all is used up",
        choices=("threshold", "auto", "sync"),
        live=True,
    )
    threshold: float = setting(
        0.7, "ask for a chunk when this share of the last one is left", bounds=(0.0, 1.0), live=True
    )
    starvation_probability: float = setting(
        0.01,
        "how often the plan may end before its next chunk comes, of which `auto` finds the threshold",
        bounds=(0.0001, 0.5),
        live=True,
    )
    similar_rad: float = setting(
        0.05,
        "while no joint has moved further since the last answer, ask as late as the latencies allow",
        bounds=(0.0, 10.0),
        live=True,
    )
    request_timeout_s: float = setting(
        10.0,
        "ask again when a request stays unanswered for so long; doubled with each further one",
        bounds=(0.05, 600.0),
        live=True,
    )
    max_step_rad: float = setting(
        0.15, "most that a joint's command changes per control period", bounds=(0.0001, 1.0), live=True
    )
    max_acceleration_rad_s2: float = setting(
        20.0, "most that a joint's commanded speed changes per second", bounds=(0.1, 1000.0), live=True
    )
    soft_start_s: float = setting(
        1.0, "after a rest the step limit grows to its full size in this time", bounds=(0.0, 60.0), live=True
    )
    max_following_error_rad: float = setting(
        0.5,
        "fault when a joint other than the gripper stays further behind its command; 0: never",
        bounds=(0.0, 10.0),
        live=True,
    )
    following_error_s: float = setting(
        0.5, "how long it has to stay behind for that", bounds=(0.0, 10.0), live=True
    )
    stale_after_s: float = setting(
        0.2, "hold when joint states are older (s)", bounds=(0.01, 10.0), live=True
    )
    operator_timeout_s: float = setting(
        0.3,
        "hold when the newest target of a person who has control is older (s)",
        bounds=(0.05, 10.0),
        live=True,
    )
    max_ahead_s: float = setting(
        0.05,
        "how far stamps may lie in the future: clocks of two machines differ",
        bounds=(0.0, 1.0),
        live=True,
    )
