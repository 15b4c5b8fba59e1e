# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which trials a person judges: a YAML file, a list of tasks with repetitions (config/protocol_example.yaml)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.robot import did_you_mean
from smolvla_ros.settings import SettingError, Settings, setting

MAX_TEXT, MAX_STAGE, MAX_STAGES = 300, 40, 12  # characters, characters, stages of a task
TRIGGERS = ExecutorConfig.__dataclass_fields__["trigger"].metadata["choices"]
EXPECTED: dict[str, tuple[Any, str]] = {  # by key: its type in the file, and what that is called
    "task": (str, "text"),
    "setup": (str, "text"),
    "repetitions": (int, "a whole number"),
    "limit_s": ((int, float), "a number of seconds"),
    "trigger": (str, "text"),
    "stages": (dict, "a table such as {grasped: 0.5, placed: 0.5}"),
}


class ProtocolError(ValueError):
    """A protocol is not valid; the message names the file, the entry, the key and its value."""


@dataclass(frozen=True)
class ProtocolTask(Settings):
    """One entry: a task that is tried several times. Raises SettingError."""

    task: str = setting("", "instruction for the policy")
    setup: str = setting("", "what to put where before each trial, for the person")
    repetitions: int = setting(10, "number of trials", bounds=(1, 1000))
    limit_s: float = setting(30.0, "when the task is withdrawn (s)", bounds=(1.0, 600.0))
    trigger: str = setting("threshold", "of the executor; sync: synchronous inference", choices=TRIGGERS)
    stages: Mapping[str, float] = field(default_factory=dict)  # name -> points, all together 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("task", "setup"):
            text = getattr(self, name)
            if len(text) > MAX_TEXT or not text.isprintable():
                raise SettingError(
                    f"{name}: {text[:MAX_TEXT]!r} has more than {MAX_TEXT} characters or a line break"
                )
        if not self.task.strip():
            raise SettingError("task: it is empty; give an instruction, such as Pick up the red cube")
        _check_stages(self.stages)

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells its trials from those of other tasks."""
        return self.task, self.setup, self.trigger


def load_protocol(path: Path) -> tuple[ProtocolTask, ...]:
    """The tasks of a file; raises ProtocolError."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProtocolError(f"protocol '{path}' cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"protocol '{path}' is not valid YAML: {error}") from error
    if not isinstance(data, list) or not data:
        raise ProtocolError(
            f"protocol '{path}': expected a list of tasks, each beginning with '- task: ...', got {data!r:.100}"
        )
    tasks: list[ProtocolTask] = []
    for number, entry in enumerate(data, start=1):
        where = f"protocol '{path}', entry {number}"
        task = _task(entry, where)
        if any(task.key == other.key for other in tasks):
            raise ProtocolError(
                f"{where}: another entry has the task '{task.task}' with this setup and trigger; raise its repetitions"
            )
        tasks.append(task)
    return tuple(tasks)


def _task(entry: Any, where: str) -> ProtocolTask:
    if not isinstance(entry, dict):
        raise ProtocolError(f"{where}: expected a table that begins with 'task: ...', got {entry!r:.100}")
    known = [item.name for item in fields(ProtocolTask)]
    for key, value in entry.items():
        if key not in known:
            raise ProtocolError(
                f"{where}: unknown key '{key}' (known: {', '.join(known)}){did_you_mean(str(key), known)}"
            )
        kind, name = EXPECTED[key]
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ProtocolError(f"{where}: {key}: {value!r:.100} is not {name}")
    try:
        return ProtocolTask(**entry)
    except SettingError as error:
        raise ProtocolError(f"{where}: {error}") from error


def _check_stages(stages: Mapping[Any, Any]) -> None:
    if len(stages) > MAX_STAGES:
        raise SettingError(f"stages: there are {len(stages)}; give at most {MAX_STAGES}")
    for name, points in stages.items():
        if not isinstance(name, str) or not 0 < len(name) <= MAX_STAGE or not name.isprintable():
            raise SettingError(f"stages: {name!r:.100} is no name of at most {MAX_STAGE} characters")
        if isinstance(points, bool) or not isinstance(points, (int, float)) or not points > 0:
            raise SettingError(f"stages: {name}: {points!r:.100} is not a number above 0")
    total = sum(stages.values())
    if stages and not math.isclose(total, 1.0, abs_tol=1e-6):
        raise SettingError(
            f"stages: the points of {', '.join(stages)} add up to {total:g}; they must add up to 1"
        )
