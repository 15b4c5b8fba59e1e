# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The run of a protocol as JSON values for the page: the present trial, and a table of all outcomes."""

from __future__ import annotations

from typing import Any

from smolvla_ros.console.robot_facts import number
from smolvla_ros.evaluation.protocol_run import FAILURES, ProtocolRun
from smolvla_ros.evaluation.summary import Summary, by_task


def trial_facts(run: ProtocolRun, note: str) -> dict[str, Any]:
    """`trials`, for the page; `note`: what became of the last thing that the person did."""
    task = run.task
    return {
        "kind": "trials",
        "phase": run.phase.value,
        "done": run.done,
        "total": run.total,
        "task": task.task if task else "",
        "setup": task.setup if task else "",
        "trigger": task.trigger if task else "",
        "limit_s": task.limit_s if task else 0.0,
        "stages": dict(task.stages) if task else {},
        "failures": FAILURES,
        "can_undo": run.can_undo,
        "log": str(run.log.path),
        "note": note,
        "table": [_row(name, summary) for name, summary in by_task(run.log.results).items()],
    }


def _row(name: str, summary: Summary) -> dict[str, Any]:
    low, high = summary.success.interval
    return {
        "task": name,
        "n": summary.success.n,
        "successes": summary.success.successes,
        "low": number(low),
        "high": number(high),
        "score": number(summary.score),
        "median_s": number(summary.median_s),
        "failures": {name: getattr(summary, name).successes for name in FAILURES},
    }
