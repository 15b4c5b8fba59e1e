# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The screen of `watch`, as text."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.terminal.status_view import watch_screen

from ..executor_state import SECOND, executor_state, time_msg


def shown(state: Any, silent_s: float = 0.05, note: str = "", alarm: str = "", width: int = 100) -> list[str]:
    """The lines of the screen without colours."""
    text = re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", watch_screen(state, silent_s, note, alarm, width))
    return text.split("\n")


def test_all_that_the_executor_publishes_is_shown() -> None:
    reason = "joint states are 0.50 s old; holding for 0.3 s"
    state = executor_state(state=ArmingState.HOLDING, reason=reason)
    text = "\n".join(shown(state, note="arm: armed"))
    for words in (
        "HOLDING  joint states are 0.50 s old",
        "wave",
        "1.00 s, 30 actions",
        "requests with 0.70 of a chunk left (auto), fusion linear_blend",
        "7, 8; newest observed 0.250 s ago",
        "41 accepted, 45 requested, 2 timed out",
        "expired 3, duplicate 1",
        "request   p50 0.250 s  p95 0.350 s",
        "inference p50 0.200 s  p95 0.300 s",
        "12 control periods",
        "measured 0.500 s ago, following error 0.020 rad",
        "shoulder_pan 5",
        "arm: armed",
    ):
        assert words in text
    assert "gripper" not in text  # its commands were never limited


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
    assert any(
        bar in line for line in shown(executor_state(queue_duration=time_msg(round(queue_s * SECOND))))
    )


def test_before_the_first_chunk_unknown_values_are_dashes() -> None:
    nothing = dict.fromkeys(
        (
            "chunk_age", "following_error", "request_latency_p50", "request_latency_p95",
            "inference_latency_p50", "inference_latency_p95", "joint_states_age",
        ),
        math.nan,
    )  # fmt: skip
    lines = shown(executor_state(chunk_duration=time_msg(0), chunk_ids=[], clamps=[0, 0], **nothing))
    assert not any("nan" in line for line in lines)
    assert any(line.startswith("chunks    none; newest observed - ago") for line in lines)


@pytest.mark.parametrize("state", list(ArmingState))
def test_the_name_of_the_state_comes_first(state: ArmingState) -> None:
    assert shown(executor_state(state=int(state), reason=""))[0] == state.name


def test_an_alarm_and_a_silent_executor_come_before_all_else() -> None:
    lines = shown(executor_state(), silent_s=3.2, alarm="STOP IS NOT CONFIRMED")
    assert lines[0] == "STOP IS NOT CONFIRMED"
    assert lines[1].startswith("no state for 3.2 s")
    assert "waiting for executor/state" in shown(None)[0]


def test_no_line_is_wider_than_the_terminal() -> None:
    assert max(map(len, shown(executor_state(task="a long task " * 20, reason="why " * 40), width=40))) <= 40
