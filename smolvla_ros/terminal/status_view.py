# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws an ExecutorState, or any object with its fields, on a terminal: the screens of `watch` and of the demo."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.wire import nanoseconds

BAR_STEPS = 30
SILENT_AFTER_S = 1.0  # the executor publishes ten states a second
KEYS = "s STOP  a arm  d disarm  h shadow  o operator  p policy  r reset  q quit"
HOME, CLEAR_LINE, CLEAR_BELOW = "\033[H", "\033[K", "\033[J"
BOLD, ALARM = "bold", "bold white on red"
STATE_STYLES = {
    ArmingState.SHADOW: "bold cyan",
    ArmingState.ARMED: "bold green",
    ArmingState.HOLDING: "bold yellow",
    ArmingState.FAULT: ALARM,
    ArmingState.STOPPED: ALARM,
}


@dataclass(frozen=True)
class JointStatus:
    """Positions of one joint in degrees, NaN where unknown."""

    name: str
    measured_deg: float
    commanded_deg: float
    lower_deg: float
    upper_deg: float


def watch_screen(state: Any | None, silent_s: float, note: str, alarm: str, width: int) -> str:
    """The screen of `watch`; `silent_s`: since the newest state arrived.

    note: the answer to the last key. alarm: shown first and highlighted.
    """
    lines: list[RenderableType] = [Text(alarm, ALARM)] if alarm else []
    if state is not None and silent_s > SILENT_AFTER_S:
        warning = f"no state for {silent_s:.1f} s, the values below are old; is the executor running?"
        lines.append(Text(warning, ALARM))
    return render_screen([*lines, *executor_lines(state), "", Text(KEYS, BOLD), Text(note)], width)


def render_screen(lines: Iterable[RenderableType], width: int) -> str:
    """Text that replaces the previous screen. Lines longer than `width` are cropped."""
    console = Console(
        file=StringIO(), width=width, height=100, force_terminal=True, color_system="standard",
        markup=False, emoji=False, highlight=False,
    )  # fmt: skip
    with console.capture() as capture:
        console.print(Group(*lines), no_wrap=True, overflow="crop")
    text = capture.get().removesuffix("\n").replace("\n", f"{CLEAR_LINE}\n")
    return f"{HOME}{text}{CLEAR_LINE}\n{CLEAR_BELOW}"


def executor_lines(state: Any | None) -> list[RenderableType]:
    """The whole ExecutorState."""
    if state is None:
        return [Text("waiting for executor/state; is the executor node running?", BOLD)]
    arming = ArmingState(state.state)
    queue_s, chunk_s = (
        nanoseconds(duration) / NANOSECONDS for duration in (state.queue_duration, state.chunk_duration)
    )
    ids = ", ".join(map(str, state.chunk_ids)) or "none"
    rows = [
        ("task", state.task or "none"),
        ("queue", f"{_queue_bar(queue_s, chunk_s, state.threshold)} {queue_s:.2f} s, {state.queue_length} actions"),
        ("", f"requests with {state.threshold:.2f} of a chunk left ({state.trigger}), fusion {state.fusion}"),
        ("chunks", f"{ids}; newest observed {format_seconds(state.chunk_age)} ago"),
        ("counted", f"{state.chunks_accepted} accepted, {state.requests} requested, {state.timeouts} timed out"),
        ("rejected", _counts(zip(state.rejected_reasons, state.rejected_counts, strict=True))),
        ("latency", f"request   {_percentiles(state.request_latency_p50, state.request_latency_p95)}"),
        ("", f"inference {_percentiles(state.inference_latency_p50, state.inference_latency_p95)}"),
        ("starved", f"{state.starved_periods} control periods of {state.commands} commands"),
        ("joints", f"measured {format_seconds(state.joint_states_age)} ago, "
                   f"following error {_radians(state.following_error)}"),
        ("limited", _counts(zip(state.joint_names, state.clamps, strict=True))),
    ]  # fmt: skip
    head = Text(f"{arming.name}  {state.reason}".rstrip(), STATE_STYLES.get(arming, BOLD))
    return [head, *(labelled(label, text) for label, text in rows)]


def labelled(label: str, text: str) -> Text:
    """One line: what it is, and its value."""
    return Text(f"{label:<10}{text}")


def joint_table(joints: Iterable[JointStatus]) -> Table:
    """One row a joint: degrees, and where they lie between the limits."""
    columns = (Column(title, justify="right", min_width=9) for title in ("measured", "command"))
    table = Table(Column("joint (deg)", min_width=14), *columns, "limits", box=None, pad_edge=False)
    for joint in joints:
        degrees = map(format_degrees, (joint.measured_deg, joint.commanded_deg))
        table.add_row(joint.name, *degrees, _joint_bar(joint))
    return table


def format_degrees(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def format_seconds(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f} s"


def _radians(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f} rad"


def _percentiles(p50_s: float, p95_s: float) -> str:
    return f"p50 {format_seconds(p50_s)}  p95 {format_seconds(p95_s)}"


def _counts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts if count) or "none"


def _queue_bar(queue_s: float, chunk_s: float, threshold: float) -> str:
    """How much of a chunk is left (#), and at which share the next one is requested (|)."""
    filled = round(BAR_STEPS * min(queue_s / chunk_s, 1.0)) if chunk_s else 0
    return _bar(("#" * filled).ljust(BAR_STEPS, "."), {"|": threshold})


def _joint_bar(joint: JointStatus) -> str:
    """Where the measured (o) and the commanded (|) position lie between the limits."""
    range_deg = joint.upper_deg - joint.lower_deg
    positions = {"|": joint.commanded_deg, "o": joint.measured_deg}
    shares = {mark: (value - joint.lower_deg) / range_deg for mark, value in positions.items()}
    return _bar("." * (BAR_STEPS + 1), shares)


def _bar(background: str, marks: dict[str, float]) -> str:
    """A bar with marks at shares 0..1 of its length; a later mark covers an earlier one, NaN is left out."""
    cells = list(background)
    for mark, share in marks.items():
        if not math.isnan(share):
            cells[min(len(cells) - 1, max(0, round(share * BAR_STEPS)))] = mark
    return f"[{''.join(cells)}]"
