# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every event in every state."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from smolvla_ros.execution.arming import Arming, ArmingEvent, ArmingState

# One row a state, one column an event: the state afterwards, "-" where the event is refused.
TABLE = """
           ARM      DISARM    SHADOW_ON  SHADOW_OFF  HOLD     RESUME  FAULT  STOP     RESET
DISARMED   ARMED    DISARMED  SHADOW     DISARMED    -        -       FAULT  STOPPED  -
SHADOW     ARMED    DISARMED  SHADOW     DISARMED    -        -       FAULT  STOPPED  -
ARMED      ARMED    DISARMED  SHADOW     -           HOLDING  ARMED   FAULT  STOPPED  -
HOLDING    HOLDING  DISARMED  SHADOW     -           HOLDING  ARMED   FAULT  STOPPED  -
FAULT      -        -         -          -           -        -       FAULT  STOPPED  DISARMED
STOPPED    -        -         -          -           -        -       -      STOPPED  DISARMED
"""
HEADER, *ROWS = (line.split() for line in TABLE.strip().splitlines())
CELLS = {
    (ArmingState[state], ArmingEvent[event]): after
    for state, *afters in ROWS
    for event, after in zip(HEADER, afters, strict=True)
}
PATHS = {
    ArmingState.DISARMED: [],
    ArmingState.SHADOW: [ArmingEvent.SHADOW_ON],
    ArmingState.ARMED: [ArmingEvent.ARM],
    ArmingState.HOLDING: [ArmingEvent.ARM, ArmingEvent.HOLD],
    ArmingState.FAULT: [ArmingEvent.FAULT],
    ArmingState.STOPPED: [ArmingEvent.STOP],
}


def arming_in(state: ArmingState, reason: str = "") -> Arming:
    arming = Arming()
    for event in PATHS[state]:
        assert arming.apply(event, reason).ok
    assert arming.state is state
    return arming


def test_the_table_is_complete() -> None:
    assert set(CELLS) == set(product(ArmingState, ArmingEvent))


@pytest.mark.parametrize(("state", "event"), list(product(ArmingState, ArmingEvent)))
def test_each_event_leads_where_the_table_says(state: ArmingState, event: ArmingEvent) -> None:
    arming = arming_in(state)
    outcome = arming.apply(event)
    after = CELLS[state, event]
    assert outcome.ok == (after != "-")
    assert arming.state is (state if after == "-" else ArmingState[after])
    assert outcome.message


def test_only_the_arm_event_leads_to_armed() -> None:
    to_armed = {(s, e) for (s, e), after in CELLS.items() if after == "ARMED" and s is not ArmingState.ARMED}
    assert to_armed == {
        (ArmingState.DISARMED, ArmingEvent.ARM),
        (ArmingState.SHADOW, ArmingEvent.ARM),
        (ArmingState.HOLDING, ArmingEvent.RESUME),
    }


def test_values_are_those_of_the_message() -> None:
    text = (Path(__file__).parents[2] / "msg" / "ExecutorState.msg").read_text()
    assert {s.name: s.value for s in ArmingState} == {
        name: int(value) for name, value in re.findall(r"^uint8 ([A-Z]+)=(\d+)", text, re.MULTILINE)
    }


@pytest.mark.parametrize("event", [ArmingEvent.ARM, ArmingEvent.SHADOW_ON, ArmingEvent.DISARM])
@pytest.mark.parametrize("state", [ArmingState.FAULT, ArmingState.STOPPED])
def test_a_latched_state_says_why_and_what_to_do(state: ArmingState, event: ArmingEvent) -> None:
    message = arming_in(state, "smoke").apply(event).message
    assert "smoke" in message and "reset first" in message


def test_the_first_reason_to_stop_is_kept() -> None:
    arming = arming_in(ArmingState.STOPPED, "smoke")
    assert arming.apply(ArmingEvent.STOP, "operator").message == "already stopped"
    assert arming.reason == "smoke"


def test_a_reason_to_hold_is_kept_up_to_date_and_ends_with_the_hold() -> None:
    arming = arming_in(ArmingState.HOLDING, "for 0.1 s")
    arming.apply(ArmingEvent.HOLD, "for 0.2 s")
    assert arming.reason == "for 0.2 s"
    arming.apply(ArmingEvent.RESUME)
    assert arming.reason == ""
