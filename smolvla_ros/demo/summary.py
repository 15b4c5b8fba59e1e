# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's result: one screen of text, summary.json, and whether it counts as a success."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smolvla_ros.demo.recording import Recording, percentile, period_errors_s, rate_hz
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.suite.processes import ExitStatus


@dataclass(frozen=True)
class CameraSummary:
    """Images of one camera."""

    expected: int
    received: int
    dropped: int


@dataclass(frozen=True)
class Summary:
    """Figures of one run. NaN where nothing was measured."""

    duration_s: float
    task: str
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
    cameras: dict[str, CameraSummary]
    inference_p50_s: float
    inference_p95_s: float
    exit_codes: dict[str, int]
    killed: list[str]  # programs that ignored the request to end
    ended_early: dict[str, int]  # programs that ended by themselves -> how often

    @property
    def problems(self) -> list[str]:
        """Why this run does not count as a success; empty when it does."""
        problems = [f"{name} did not end by itself and was killed" for name in self.killed]
        problems += [
            f"{name} ended with exit code {code}"
            for name, code in self.exit_codes.items()
            if code and name not in self.killed
        ]
        problems += [f"{name} ended by itself {_times(count)}" for name, count in self.ended_early.items()]
        if not self.chunks_accepted:
            problems.append("the executor accepted no chunk")
        return problems

    def to_json(self) -> str:
        """All figures and problems; NaN becomes null."""
        values = {**dataclasses.asdict(self), "problems": self.problems}
        return json.dumps(_without_nan(values), indent=2) + "\n"

    def to_text(self) -> str:
        """One screen."""
        rejected = sum(self.chunks_rejected.values())
        why = ", ".join(f"{reason} {count}" for reason, count in self.chunks_rejected.items())
        moved = "  ".join(f"{name} {value:.0f}" for name, value in self.moved_deg.items())
        rows = [
            ("ran", f'{self.duration_s:.1f} s, "{self.task}", policy {self.policy or "unknown"}'),
            (
                "chunks",
                f"{self.chunks_accepted} accepted, {rejected} rejected" + (f" ({why})" if why else ""),
            ),
            (
                "inference",
                f"p50 {_number(self.inference_p50_s, 3)} s, p95 {_number(self.inference_p95_s, 3)} s",
            ),
            ("starved", f"{self.starved_periods} control periods"),
            (
                "commands",
                f"{self.commands}, {_number(self.command_rate_hz, 2)} Hz, period error p50 "
                f"{_number(self.command_period_error_p50_ms, 2)} ms, "
                f"p99 {_number(self.command_period_error_p99_ms, 2)} ms",
            ),
            ("joint states", f"{_number(self.joint_state_rate_hz, 2)} Hz"),
            ("moved (deg)", moved or "nothing"),
            *(
                (
                    name,
                    f"{camera.received} of {camera.expected} images received, {camera.dropped} dropped",
                )
                for name, camera in self.cameras.items()
            ),
            ("exit codes", ", ".join(f"{name} {code}" for name, code in self.exit_codes.items())),
        ]
        lines = [f"{label:<14}{text}" for label, text in rows]
        return "\n".join([*lines, *(f"PROBLEM       {problem}" for problem in self.problems)])


def summarize(
    recording: Recording, task: str, start_ns: int, end_ns: int, ended: Mapping[str, ExitStatus]
) -> Summary:
    """The figures of a recording made from `start_ns` to `end_ns`."""
    errors_ms = period_errors_s(recording.commanded.stamps_ns) * 1e3
    inference_s = [chunk.inference_s for chunk in recording.chunks]
    images = {name: recording.images(name, end_ns) for name in recording.cameras}
    return Summary(
        duration_s=(end_ns - start_ns) / NANOSECONDS,
        task=task,
        policy=recording.chunks[-1].policy if recording.chunks else "",
        chunks_accepted=_counted(recording, "chunks_accepted"),
        chunks_rejected=_rejected(recording),
        starved_periods=_counted(recording, "starved_periods"),
        commands=len(recording.commanded.stamps_ns),
        command_rate_hz=rate_hz(recording.commanded.stamps_ns),
        command_period_error_p50_ms=percentile(errors_ms, 50),
        command_period_error_p99_ms=percentile(errors_ms, 99),
        joint_state_rate_hz=rate_hz(recording.measured.stamps_ns),
        moved_deg=_moved_deg(recording),
        cameras={
            name: CameraSummary(count.expected, count.received, count.dropped)
            for name, count in images.items()
        },
        inference_p50_s=percentile(inference_s, 50),
        inference_p95_s=percentile(inference_s, 95),
        exit_codes={name: end.code for name, end in ended.items()},
        killed=[name for name, end in ended.items() if end.killed],
        ended_early={name: end.unexpected_exits for name, end in ended.items() if end.unexpected_exits},
    )


def _counted(recording: Recording, name: str) -> int:
    """By how much a counter of ExecutorState grew."""
    if recording.state is None:
        return 0
    return int(getattr(recording.state, name)) - int(getattr(recording.first_state, name))


def _rejected(recording: Recording) -> dict[str, int]:
    if recording.state is None:
        return {}
    before, after = (
        dict(zip(map(str, state.rejected_reasons), map(int, state.rejected_counts), strict=True))
        for state in (recording.first_state, recording.state)
    )
    grown = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    return {reason: count for reason, count in grown.items() if count}


def _moved_deg(recording: Recording) -> dict[str, float]:
    if not recording.measured.stamps_ns:
        return {}
    moved = np.degrees(np.ptp(recording.measured.positions_rad, axis=0))
    return dict(zip(recording.joint_names, moved.tolist(), strict=True))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
