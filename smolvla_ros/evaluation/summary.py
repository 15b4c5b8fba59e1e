# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What many trials add up to: rates with their confidence intervals."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolvla_ros.evaluation.results import TrialResult
from smolvla_ros.simulation.layout import CUBE_COLOURS
from smolvla_ros.text_table import align_columns

Z_95 = 1.959964  # quantile of the normal distribution for an interval of 95 %


@dataclass(frozen=True)
class Rate:
    """A share of successes, with the Wilson score interval (Wilson 1927) of 95 %."""

    successes: int
    n: int

    @property
    def value(self) -> float:
        return self.successes / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound."""
        if not self.n:
            return 0.0, 1.0
        share, squared = self.value, Z_95**2 / self.n
        middle = (share + squared / 2) / (1 + squared)
        half = Z_95 * math.sqrt(share * (1 - share) / self.n + squared / (4 * self.n)) / (1 + squared)
        return max(middle - half, 0.0), min(middle + half, 1.0)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.1f} % ({self.successes} of {self.n}; {100 * low:.1f} .. {100 * high:.1f})"


@dataclass(frozen=True)
class Summary:
    """Rates and medians of some trials."""

    success: Rate
    wrong_object: Rate
    dropped: Rate
    stuck: Rate
    unsafe: Rate
    faults: Rate
    score: float  # mean
    median_s: float  # to success; NaN without one
    starved: float  # share of the control periods
    roughness: float  # mean, see TrialResult

    @classmethod
    def of(cls, results: Sequence[TrialResult]) -> Summary:
        n = len(results)
        times = [result.time_s for result in results if result.time_s is not None]
        periods = sum(result.periods for result in results)
        return cls(
            success=Rate(sum(result.success for result in results), n),
            wrong_object=Rate(sum(result.wrong_object is not None for result in results), n),
            dropped=Rate(sum(result.dropped for result in results), n),
            stuck=Rate(sum(result.stuck for result in results), n),
            unsafe=Rate(sum(result.unsafe for result in results), n),
            faults=Rate(sum(bool(result.fault) for result in results), n),
            score=statistics.fmean(result.score for result in results) if results else math.nan,
            median_s=statistics.median(times) if times else math.nan,
            starved=sum(result.starved_periods for result in results) / periods if periods else math.nan,
            roughness=statistics.fmean(result.roughness for result in results) if results else math.nan,
        )

    def values(self) -> dict[str, float | list[float] | None]:
        """For a file: rates are 0 to 1; None where there is no value, for which JSON has no NaN."""
        values: dict[str, float | list[float]] = {
            "n": self.success.n,
            "success": self.success.value,
            "success_interval_95": list(self.success.interval),
            "score": self.score,
            "wrong_object": self.wrong_object.value,
            "dropped": self.dropped.value,
            "stuck": self.stuck.value,
            "faults": self.faults.value,
            "median_time_s": self.median_s,
            "starved": self.starved,
            "roughness_rad": self.roughness,
        }
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in values.items()
        }


def by_task(results: Sequence[TrialResult]) -> dict[str, Summary]:
    """By the first colour in what was meant; trials of a protocol by instruction and trigger."""
    groups: dict[str, list[TrialResult]] = defaultdict(list)
    for result in results:
        groups[_task_name(result)].append(result)
    return {name: Summary.of(group) for name, group in sorted(groups.items())}


def _task_name(result: TrialResult) -> str:
    if "setup" in result.conditions:
        return f"{result.instruction} ({result.conditions['trigger']})"
    words = result.instruction.lower().split()
    return next((word for word in words if word in CUBE_COLOURS), "all")


def report_lines(results: Sequence[TrialResult]) -> tuple[str, ...]:
    """The summary as text, a line each."""
    summary = Summary.of(results)
    rows = [
        ("success", str(summary.success)),
        *((f"  {name}", str(task.success)) for name, task in by_task(results).items()),
        ("mean score", f"{summary.score:.3f}"),
        ("median time", f"{summary.median_s:.1f} s"),
        ("wrong object", str(summary.wrong_object)),
        ("dropped", str(summary.dropped)),
        ("stuck", str(summary.stuck)),
        *([("unsafe", str(summary.unsafe))] if summary.unsafe.successes else []),
        *([("faults", str(summary.faults))] if summary.faults.successes else []),
        ("starved", f"{100 * summary.starved:.1f} % of the periods"),
        ("roughness", f"{1000 * summary.roughness:.2f} mrad a period squared"),
    ]
    return align_columns(rows)


def save_json(
    path: Path, results: Sequence[TrialResult], conditions: Mapping[str, Any], seed: int, checkpoint: str
) -> None:
    """Write rates (0 to 1), seed, checkpoint and conditions to a file, whose folder is made if it is missing."""
    values = {
        "task": conditions["task"],
        **Summary.of(results).values(),
        "seed": seed,
        "checkpoint": checkpoint,
        "conditions": conditions,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
