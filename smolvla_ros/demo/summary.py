# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a demo run, as text and as JSON, and the problems because of which it counts as failed."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.dataset.stream_timing import (
    ImageCount,
    count_images,
    intervals_s,
    mean_rate_hz,
    period_errors_s,
)
from smolvla_ros.demo.observed_run import ObservedRun
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.suite.processes import ExitStatus


@dataclass(frozen=True)
class Summary:
    """Figures of one run. NaN where nothing was measured."""

    duration_s: float
    task: str
    tasks_tried: int  # in a simulated world, as the two below
    tasks_done: int
    wrong_objects: int  # tasks in which a cube was moved that the instruction does not name
    task_result: str  # these in words; empty without a world
    policy: str
    chunks_accepted: int
    chunks_rejected: dict[str, int]  # reason -> count
    starved_periods: int
    commands: int
    command_rate_hz: float
    command_period_error_p50_ms: float
    command_period_error_p99_ms: float
    joint_state_rate_hz: float
    moved_deg: dict[str, float]  # joint -> distance between its extremes
    cameras: dict[str, ImageCount]
    inference_p50_s: float
    inference_p95_s: float
    exit_codes: dict[str, int]
    killed: list[str]  # programs that had to be killed
    ended_early: dict[str, int]  # programs that ended by themselves -> how often

    @property
    def problems(self) -> list[str]:
        """Why this run counts as failed; empty when it succeeded."""
        problems = [f"{name} did not end by itself and was killed" for name in self.killed]
        problems += [
            f"{name} ended with exit code {code}"
            for name, code in self.exit_codes.items()
            if code and name not in self.killed
        ]
        problems += [
            f"{name} ended by itself {'once' if count == 1 else f'{count} times'}"
            for name, count in self.ended_early.items()
        ]
        if not self.chunks_accepted:
            problems.append("the executor accepted no chunk")
        return problems

    def to_json(self) -> str:
        """All figures and problems; NaN becomes null."""
        values = {**dataclasses.asdict(self), "problems": self.problems}
        return json.dumps(_without_nan(values), indent=2) + "\n"

    def to_text(self) -> str:
        """A table of at most 24 lines."""
        moved = "  ".join(f"{name} {value:.0f}" for name, value in self.moved_deg.items())
        rejected = f"{sum(self.chunks_rejected.values())} rejected"
        if self.chunks_rejected:
            rejected += (
                f" ({', '.join(f'{reason} {count}' for reason, count in self.chunks_rejected.items())})"
            )
        rows = [
            ("ran", f'{self.duration_s:.1f} s, "{self.task}", policy {self.policy or "unknown"}'),
            *([("tasks", self.task_result)] if self.task_result else []),
            ("chunks", f"{self.chunks_accepted} accepted, {rejected}"),
            ("inference", f"p50 {_number(self.inference_p50_s, 3)} s, p95 {_number(self.inference_p95_s, 3)} s"),
            ("starved", f"{self.starved_periods} control periods"),
            ("commands", f"{self.commands}, {_number(self.command_rate_hz, 2)} Hz, period error p50 "
                         f"{_number(self.command_period_error_p50_ms, 2)} ms, "
                         f"p99 {_number(self.command_period_error_p99_ms, 2)} ms"),
            ("joint states", f"{_number(self.joint_state_rate_hz, 2)} Hz"),
            ("moved (deg)", moved or "nothing"),
            *((name, f"{images.received} of {images.expected} images received, {images.dropped} dropped")
              for name, images in self.cameras.items()),
            ("exit codes", ", ".join(f"{name} {code}" for name, code in self.exit_codes.items())),
        ]  # fmt: skip
        lines = [f"{label:<14}{text}" for label, text in rows]
        return "\n".join([*lines, *(f"PROBLEM       {problem}" for problem in self.problems)])


def summarize(
    run: ObservedRun, task: str, start_ns: int, end_ns: int, ended: Mapping[str, ExitStatus]
) -> Summary:
    """The figures of a run from `start_ns` to `end_ns`; `ended`: how each program ended."""
    command_intervals_s = intervals_s(run.commanded.stamps_ns)
    errors_ms = period_errors_s(command_intervals_s) * 1e3
    inference_s = [chunk.inference_s for chunk in run.chunks]
    return Summary(
        duration_s=(end_ns - start_ns) / NANOSECONDS,
        task=task,
        tasks_tried=len(run.tasks),
        tasks_done=sum(bool(progress.success) for progress in run.tasks.values()),
        wrong_objects=sum(bool(progress.wrong_object) for progress in run.tasks.values()),
        task_result=task_result(run),
        policy=run.chunks[-1].policy if run.chunks else "",
        chunks_accepted=_counter_increase(run, "chunks_accepted"),
        chunks_rejected=_rejections(run),
        starved_periods=_counter_increase(run, "starved_periods"),
        commands=len(run.commanded.stamps_ns),
        command_rate_hz=mean_rate_hz(command_intervals_s) or math.nan,
        command_period_error_p50_ms=_percentile(errors_ms, 50),
        command_period_error_p99_ms=_percentile(errors_ms, 99),
        joint_state_rate_hz=mean_rate_hz(intervals_s(run.measured.stamps_ns)) or math.nan,
        moved_deg=_moved_deg(run),
        cameras={
            name: count_images(run.image_stamps_ns[name], rate_hz, end_ns)
            for name, rate_hz in run.camera_rates_hz.items()
        },
        inference_p50_s=_percentile(inference_s, 50),
        inference_p95_s=_percentile(inference_s, 95),
        exit_codes={name: end.code for name, end in ended.items()},
        killed=[name for name, end in ended.items() if end.killed],
        ended_early={name: end.unexpected_exits for name, end in ended.items() if end.unexpected_exits},
    )


def _counter_increase(run: ObservedRun, counter: str) -> int:
    """By how much a counter of ExecutorState grew during the run."""
    if run.state is None:
        return 0
    return int(getattr(run.state, counter)) - int(getattr(run.first_state, counter))


def task_result(run: ObservedRun) -> str:
    """How the tasks went in a simulated world, in words."""
    if run.task_progress is None:
        return ""
    tasks = list(run.tasks.values())
    if not tasks:
        return run.task_progress.reason or "none was given"
    reason = [run.task_progress.reason] if run.task_progress.reason else []
    times_s = [progress.success_time for progress in tasks if progress.success]
    words = [f"{len(times_s)} of {len(tasks)} done"]
    words += [f"in {np.median(times_s):.1f} s (median)"] if times_s else []
    words += [f"wrong object {sum(bool(progress.wrong_object) for progress in tasks)}"]
    words += [f"dropped {sum(bool(progress.dropped) for progress in tasks)}"]
    if not tasks[-1].success:
        words += [f"the last one got {tasks[-1].score:.2f} in {tasks[-1].elapsed:.1f} s"]
    return ", ".join([*words, *reason])


def _rejections(run: ObservedRun) -> dict[str, int]:
    """Reason -> chunks rejected during the run."""
    if run.state is None:
        return {}
    before, after = (
        dict(zip(map(str, state.rejected_reasons), map(int, state.rejected_counts), strict=True))
        for state in (run.first_state, run.state)
    )
    increases = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    return {reason: count for reason, count in increases.items() if count}


def _moved_deg(run: ObservedRun) -> dict[str, float]:
    if not run.measured.stamps_ns:
        return {}
    moved = np.degrees(np.ptp(run.measured.positions_rad, axis=0))
    return dict(zip(run.joint_names, moved.tolist(), strict=True))


def _percentile(values: Sequence[float] | FloatArray, percent: float) -> float:
    """NaN where there are no values."""
    return float(np.percentile(values, percent)) if len(values) else math.nan


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
