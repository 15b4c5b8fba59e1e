# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the page may say: one JSON object a message, parsed strictly into one of these values.

A message names its kind in the key `say`; its other keys are the fields of the class, no more and no less.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from typing import Any

from smolvla_ros.evaluation.protocol import MAX_STAGE, MAX_STAGES
from smolvla_ros.evaluation.protocol_run import FAILURES
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.settings import check_settings

MAX_MESSAGE = 4096  # characters
MAX_TASK, MAX_NAME = 300, 40  # characters
MAX_JOINTS = 32
RECORDER_VERBS = ("start", "stop", "success", "failure", "discard", "rerecord")


class MessageError(ValueError):
    """A message of the page is not valid; the text says what is wrong with it."""


@dataclass(frozen=True)
class Stop:
    """Stop the arm; every operator may, in control or not."""


@dataclass(frozen=True)
class TakeControl:
    """Become the operator in control, under this name."""

    name: str

    def __post_init__(self) -> None:
        _check_text("name", self.name, MAX_NAME)


@dataclass(frozen=True)
class ReleaseControl:
    """Give up control; the arm goes on as it is."""


@dataclass(frozen=True)
class Shown:
    """The page has taken all that was sent, and may get more."""


@dataclass(frozen=True)
class Arm:
    """Arm or disarm the executor."""

    on: bool


@dataclass(frozen=True)
class Shadow:
    """Plan without sending commands."""

    on: bool


@dataclass(frozen=True)
class Reset:
    """Leave stopped or fault."""


@dataclass(frozen=True)
class TakeOver:
    """A person takes control of the arm from the policy; or gives it back."""

    on: bool


@dataclass(frozen=True)
class MoveTo:
    """Where the person who has control wants the arm: positions (rad) of all joints in the robot's order."""

    positions: list[float]

    def __post_init__(self) -> None:
        if len(self.positions) > MAX_JOINTS:
            raise MessageError(f"positions: it has more than {MAX_JOINTS} entries")
        if not all(isinstance(value, float) and math.isfinite(value) for value in self.positions):
            raise MessageError("positions: each entry must be a finite number")


@dataclass(frozen=True)
class SetTask:
    """Give an instruction; empty: none."""

    task: str

    def __post_init__(self) -> None:
        _check_text("task", self.task, MAX_TASK)


@dataclass(frozen=True)
class Tune:
    """Change how chunks are requested and fused."""

    fusion: str
    trigger: str
    threshold: float

    def __post_init__(self) -> None:
        check_settings(ExecutorConfig(fusion=self.fusion, trigger=self.trigger, threshold=self.threshold))


@dataclass(frozen=True)
class Record:
    """Call a service of the recorder."""

    verb: str

    def __post_init__(self) -> None:
        if self.verb not in RECORDER_VERBS:
            raise MessageError(f"verb: it is none of {', '.join(RECORDER_VERBS)}")


@dataclass(frozen=True)
class BeginTrial:
    """Begin the next trial of the protocol."""


@dataclass(frozen=True)
class EndTrial:
    """The trial is over: withdraw its task."""


@dataclass(frozen=True)
class JudgeTrial:
    """The outcome of the trial: which stages it reached, if it is no success, and what went wrong."""

    success: bool
    stages: list[str]
    failures: list[str]

    def __post_init__(self) -> None:
        for name in ("stages", "failures"):
            if len(getattr(self, name)) > MAX_STAGES:
                raise MessageError(f"{name}: it has more than {MAX_STAGES} entries")
            for text in getattr(self, name):
                if not isinstance(text, str):
                    raise MessageError(f"{name}: each entry must be a str")
                _check_text(name, text, MAX_STAGE)
        if not set(self.failures) <= set(FAILURES):
            raise MessageError(f"failures: an entry is none of {', '.join(FAILURES)}")


@dataclass(frozen=True)
class UndoTrial:
    """Forget the trial that waits for its outcome, or remove the last outcome."""


TrialStep = BeginTrial | EndTrial | JudgeTrial | UndoTrial
Action = (
    Stop | Arm | Shadow | Reset | TakeOver | MoveTo | SetTask | Tune | Record | TrialStep
)  # carried out by the back end
Message = Action | TakeControl | ReleaseControl | Shown
KINDS: dict[str, type[Any]] = {
    "stop": Stop,
    "take_control": TakeControl,
    "release_control": ReleaseControl,
    "shown": Shown,
    "arm": Arm,
    "shadow": Shadow,
    "reset": Reset,
    "take_over": TakeOver,
    "move_to": MoveTo,
    "set_task": SetTask,
    "tune": Tune,
    "record": Record,
    "begin_trial": BeginTrial,
    "end_trial": EndTrial,
    "judge_trial": JudgeTrial,
    "undo_trial": UndoTrial,
}
TYPES = {"str": str, "bool": bool, "float": float, "list[str]": list, "list[float]": list}


def parse(text: str) -> Message:
    """The value of a message; raises MessageError."""
    if len(text) > MAX_MESSAGE:
        raise MessageError(f"a message has more than {MAX_MESSAGE} characters")
    try:
        values = json.loads(text, parse_constant=_refuse_constant, parse_int=float)
    except (ValueError, RecursionError):
        raise MessageError("a message is not valid JSON") from None
    kind = values.pop("say", None) if isinstance(values, dict) else None
    message_type = KINDS.get(kind) if isinstance(kind, str) else None
    if message_type is None:
        raise MessageError(f"a message does not say one of {', '.join(KINDS)}")
    wanted = {entry.name: TYPES[str(entry.type)] for entry in fields(message_type)}
    if values.keys() != wanted.keys():
        raise MessageError(f"{kind}: its values must be {', '.join(wanted) or 'none'}")
    for name, value_type in wanted.items():
        if type(values[name]) is not value_type:
            raise MessageError(f"{kind}: {name} must be a {value_type.__name__}")
    try:
        message: Message = message_type(**values)
    except ValueError as error:
        raise MessageError(f"{kind}: {error}") from None
    return message


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")  # NaN and infinities, which Python would read


def _check_text(name: str, text: str, length: int) -> None:
    """Raise MessageError for long text and for characters that are not printable, such as half of a surrogate pair."""
    if len(text) > length or not text.isprintable():
        raise MessageError(f"{name}: it must have at most {length} printable characters")
