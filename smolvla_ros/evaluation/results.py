# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The record of a trial, simulated or on a robot, and JSONL files of them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from smolvla_ros.arrays import FloatArray


class ResultsError(ValueError):
    """A file of results cannot be read."""


@dataclass(frozen=True)
class TrialResult:
    """What a trial came to, as the simulation or a person judged; a line of the JSONL file."""

    seed: int
    instruction: str  # what was meant
    said: str  # what the policy was told
    success: bool
    score: float
    time_s: float | None  # to success
    wrong_object: str | None  # a cube that was not meant and was moved or lifted
    dropped: bool
    stuck: bool
    hit_table: bool
    reached: dict[str, float]  # stage -> share
    chunks: int
    starved_periods: int
    periods: int
    roughness: float  # mean absolute second difference of the commands, rad per control period squared
    conditions: dict[str, Any] = field(default_factory=dict)
    unsafe: bool = False  # so a person judged; the simulation does not tell
    fault: str = ""  # of the executor, with which a trial through the real nodes ended


def roughness(commands: Sequence[FloatArray]) -> float:
    """Of the commands of successive control periods; 0 for fewer than three."""
    if len(commands) < 3:
        return 0.0
    return float(np.abs(np.diff(np.stack(commands), n=2, axis=0)).mean())


def append_results(path: Path, results: Sequence[TrialResult]) -> None:
    """Add a line for each result to a JSONL file, whose folder is made if it is missing. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(result)) + "\n" for result in results)


def read_results(path: Path) -> list[TrialResult]:
    """The results in a JSONL file; raises ResultsError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        results = [TrialResult(**json.loads(line)) for line in lines if line]
    except (ValueError, TypeError) as error:
        raise ResultsError(f"'{path}' is no file of results, as --results writes it: {error}") from error
    if not results:
        raise ResultsError(f"'{path}' has no results")
    return results


class ResultsLog:
    """A JSONL file of results to which each one is written at once; `results`: all that it holds."""

    def __init__(self, path: Path) -> None:
        """Continue a file, or begin one. Raises ResultsError, and OSError if it cannot be written."""
        self.path = path
        append_results(path, [])
        self.results = read_results(path) if path.stat().st_size else []

    def append(self, result: TrialResult) -> None:
        """Raises OSError, and then the file is as before."""
        size = self.path.stat().st_size
        try:
            append_results(self.path, [result])
        except OSError:
            os.truncate(self.path, size)  # part of a line would make the file unreadable
            raise
        self.results.append(result)

    def drop_last(self) -> None:
        """Remove the last result from the file. Raises OSError."""
        lines = self.path.read_bytes().rstrip(b"\n")
        os.truncate(self.path, lines.rfind(b"\n") + 1)
        self.results.pop()
