# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The conditions of a trial: what is on the table, what is said, how the policy is run."""

from __future__ import annotations

from dataclasses import dataclass

from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.fusion import FUSIONS
from smolvla_ros.settings import Settings, setting
from smolvla_ros.simulation.tasks.instruction import TASKS

LIMITS_S = {
    "touch": 15.0,
    "pick_up": 15.0,
    "pick_place": 20.0,
    "stack": 20.0,
    "sort": 60.0,
    "choose_box": 20.0,
    "put_aside": 20.0,
}


@dataclass(frozen=True)
class Conditions(Settings):
    """Everything but the seed that two trials can differ in."""

    task: str = setting("pick_place", "task of the layout and the instruction", choices=tuple(TASKS))
    wordings: str = setting(
        "training",
        "wordings of the instructions; held_out: not in training",
        choices=("training", "held_out"),
    )
    instruction: str = setting(
        "as_meant",
        "what the policy is told; shuffled: about random cubes on the table, to see whether it matters",
        choices=("as_meant", "shuffled"),
    )
    appearance: float = setting(
        0.0,
        "how much light, colours, table and cameras differ from the suite's own, at random in each trial",
        bounds=(0.0, 1.0),
    )
    distractors: int = setting(0, "further cubes of other colours on the table", bounds=(0, 2))
    moved_after_s: float = setting(
        0.0,
        "when the cube that is meant is pushed some centimetres aside, once (s); 0: never",
        bounds=(0.0, 60.0),
    )
    latency_s: float = setting(
        0.1, "from an observation to its chunk's arrival, in the world's time (s)", bounds=(0.0, 5.0)
    )
    trigger: str = setting(
        "threshold",
        "when the executor asks for a chunk; sync: when all is used up",
        choices=("threshold", "auto", "sync"),
    )
    threshold: float = setting(
        0.7, "share of a chunk that is left when the next is asked for", bounds=(0.0, 1.0)
    )
    fusion: str = setting("smooth", "how a new chunk and the plan become one", choices=tuple(FUSIONS))
    limit_s: float = setting(0.0, "duration of a trial (s); 0: that of its task", bounds=(0.0, 600.0))

    @property
    def duration_s(self) -> float:
        """How long a trial lasts at most."""
        return self.limit_s or LIMITS_S[self.task]

    def executor_config(self) -> ExecutorConfig:
        """The executor's settings, armed."""
        return ExecutorConfig(
            mode="armed", trigger=self.trigger, threshold=self.threshold, fusion=self.fusion
        )
