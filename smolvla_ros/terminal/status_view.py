# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `watch` shows: an ExecutorState, or anything with its fields, as lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.wire import nanoseconds

BAR_WIDTH = 30
SILENT_AFTER_S = 1.0  # states come ten times a second
KEYS = "s STOP   a arm   d disarm   h shadow on/off   r reset   q quit"
HOME, CLEAR_LINE, CLEAR_BELOW, PLAIN = "\033[H", "\033[K", "\033[J", "\033[0m"
BOLD, ALARM = "\033[1m", "\033[1;37;41m"
COLOURS = {
    ArmingState.SHADOW: "\033[1;36m",
    ArmingState.ARMED: "\033[1;32m",
    ArmingState.HOLDING: "\033[1;33m",
    ArmingState.FAULT: ALARM,
    ArmingState.STOPPED: ALARM,
}


def screen(state: Any | None, silent_s: float, note: str, alarm: str, width: int) -> str:
    """The whole screen, to be written over the last one; `silent_s`: since the newest state came.

    note: what the last key brought about. alarm: what must not be overlooked. No line is longer than `width`.
    """
    lines = [(alarm, ALARM)] if alarm else []
    if state is None:
        lines.append(("waiting for executor/state; is the executor node running?", BOLD))
    else:
        if silent_s > SILENT_AFTER_S:
            lines.append((f"no news for {silent_s:.1f} s, all below is old; is the executor running?", ALARM))
        lines += _lines(state)
    lines += [("", ""), (KEYS, BOLD), (note, "")]
    text = "".join(f"{style}{line[:width]}{PLAIN if style else ''}{CLEAR_LINE}\r\n" for line, style in lines)
    return HOME + text + CLEAR_BELOW


def _lines(state: Any) -> list[tuple[str, str]]:
    is_now = ArmingState(state.state)
    queue_s, chunk_s = (
        nanoseconds(duration) / NANOSECONDS for duration in (state.queue_duration, state.chunk_duration)
    )
    ids = ", ".join(map(str, state.chunk_ids)) or "none"
    rows = [
        ("task", state.task or "none"),
        ("queue", f"{_bar(queue_s, chunk_s, state.threshold)} {queue_s:.2f} s, {state.queue_length} actions"),
        ("", f"asks when {state.threshold:.2f} of a chunk is left ({state.trigger}), fuses by {state.fusion}"),
        ("chunks", f"{ids}; newest observed {_seconds(state.chunk_age)} ago"),
        ("counted", f"{state.chunks_accepted} accepted, {state.requests} asked for, {state.timeouts} timed out"),
        ("rejected", _counts(zip(state.rejected_reasons, state.rejected_counts, strict=True))),
        ("latency", f"request   p50 {_seconds(state.request_latency_p50)}  p95 {_seconds(state.request_latency_p95)}"),
        ("", f"inference p50 {_seconds(state.inference_latency_p50)}  p95 {_seconds(state.inference_latency_p95)}"),
        ("starved", f"{state.starved_periods} control periods of {state.commands} commands"),
        ("joints", f"measured {_seconds(state.joint_states_age)} ago, {_radians(state.following_error)} behind"),
        ("limited", _counts(zip(state.joint_names, state.clamps, strict=True))),
    ]  # fmt: skip
    head = f"{is_now.name}  {state.reason}".rstrip()
    return [(head, COLOURS.get(is_now, BOLD)), ("", ""), *((f"{name:<10}{text}", "") for name, text in rows)]


def _bar(queue_s: float, chunk_s: float, threshold: float) -> str:
    """How much of a chunk is left, and at | when the next one is asked for."""
    share = min(queue_s / chunk_s, 1.0) if chunk_s else 0.0
    filled = round(share * BAR_WIDTH)
    cells = ["#"] * filled + ["."] * (BAR_WIDTH - filled)
    cells[min(round(threshold * BAR_WIDTH), BAR_WIDTH - 1)] = "|"
    return f"[{''.join(cells)}]"


def _counts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts if count) or "none"


def _seconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f} s"


def _radians(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f} rad"
