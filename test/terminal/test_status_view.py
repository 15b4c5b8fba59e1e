# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The screen of `watch`, as text."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any

import pytest

from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.terminal.status_view import screen

SECOND = 1_000_000_000


def duration(seconds: float) -> Any:
    sec, nanosec = divmod(round(seconds * SECOND), SECOND)
    return SimpleNamespace(sec=sec, nanosec=nanosec)


def executor_state(**values: Any) -> Any:
    fields: dict[str, Any] = {
        "state": ArmingState.HOLDING,
        "reason": "joint states are 0.50 s old; holding for 0.3 s",
        "task": "wave",
        "queue_length": 30,
        "queue_duration": duration(1.0),
        "chunk_duration": duration(2.0),
        "chunk_ids": [7, 8],
        "threshold": 0.7,
        "trigger": "auto",
        "fusion": "linear_blend",
        "joint_states_age": 0.5,
        "chunk_age": 0.25,
        "following_error": 0.02,
        "inference_latency_p50": 0.2,
        "inference_latency_p95": 0.3,
        "request_latency_p50": 0.25,
        "request_latency_p95": 0.35,
        "commands": 1000,
        "requests": 45,
        "timeouts": 2,
        "chunks_accepted": 41,
        "rejected_reasons": ["expired", "duplicate"],
        "rejected_counts": [3, 1],
        "starved_periods": 12,
        "joint_names": ["shoulder_pan", "gripper"],
        "clamps": [5, 0],
    }
    return SimpleNamespace(**{**fields, **values})


def shown(state: Any, silent_s: float = 0.05, note: str = "", alarm: str = "", width: int = 100) -> list[str]:
    """The lines of the screen without colours."""
    text = re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", screen(state, silent_s, note, alarm, width))
    return text.split("\r\n")


def test_all_that_the_executor_says_is_shown() -> None:
    text = "\n".join(shown(executor_state(), note="arm: armed"))
    for words in (
        "HOLDING  joint states are 0.50 s old",
        "wave",
        "1.00 s, 30 actions",
        "asks when 0.70 of a chunk is left (auto), fuses by linear_blend",
        "7, 8; newest observed 0.250 s ago",
        "41 accepted, 45 asked for, 2 timed out",
        "expired 3, duplicate 1",
        "request   p50 0.250 s  p95 0.350 s",
        "inference p50 0.200 s  p95 0.300 s",
        "12 control periods",
        "measured 0.500 s ago, 0.020 rad behind",
        "shoulder_pan 5",
        "arm: armed",
    ):
        assert words in text
    assert "gripper" not in text  # it was never limited


@pytest.mark.parametrize(
    ("queue_s", "bar"),
    [
        (2.0, "[" + 21 * "#" + "|" + 8 * "#" + "]"),
        (1.0, "[" + 15 * "#" + 6 * "." + "|" + 8 * "." + "]"),
        (0.0, "[" + 21 * "." + "|" + 8 * "." + "]"),
        (9.0, "[" + 21 * "#" + "|" + 8 * "#" + "]"),
    ],
)
def test_the_queue_is_a_bar_with_the_threshold_in_it(queue_s: float, bar: str) -> None:
    assert any(bar in line for line in shown(executor_state(queue_duration=duration(queue_s))))


def test_before_the_first_chunk_nothing_is_made_up() -> None:
    nothing = dict.fromkeys(
        (
            "chunk_age", "following_error", "request_latency_p50", "request_latency_p95",
            "inference_latency_p50", "inference_latency_p95", "joint_states_age",
        ),
        math.nan,
    )  # fmt: skip
    lines = shown(executor_state(chunk_duration=duration(0.0), chunk_ids=[], clamps=[0, 0], **nothing))
    assert not any("nan" in line for line in lines)
    assert any(line.startswith("chunks    none; newest observed - ago") for line in lines)


@pytest.mark.parametrize("state", list(ArmingState))
def test_every_state_has_its_name_and_comes_first(state: ArmingState) -> None:
    assert shown(executor_state(state=int(state), reason=""))[0] == state.name


def test_no_news_and_an_alarm_stand_above_all() -> None:
    lines = shown(executor_state(), silent_s=3.2, alarm="STOP IS NOT CONFIRMED")
    assert lines[0] == "STOP IS NOT CONFIRMED"
    assert lines[1].startswith("no news for 3.2 s")
    assert "waiting for executor/state" in shown(None)[0]


def test_no_line_is_wider_than_the_terminal() -> None:
    assert max(map(len, shown(executor_state(task="a long task " * 20, reason="why " * 40), width=40))) <= 40
