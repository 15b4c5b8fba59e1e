# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the arm may be moved: a state machine with six states and nine events, as a table.

DISARMED -> SHADOW -> ARMED; HOLDING is a pause of ARMED. FAULT and STOPPED latch until RESET, which leads to DISARMED.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class ArmingState(enum.IntEnum):
    """What the executor does with the arm; the values are those of ExecutorState.msg."""

    DISARMED = 0
    SHADOW = 1
    ARMED = 2
    HOLDING = 3
    FAULT = 4
    STOPPED = 5

    @property
    def accepts_chunks(self) -> bool:
        """Whether chunks are requested and executed, or in SHADOW only computed."""
        return self.moves_arm or self is ArmingState.SHADOW

    @property
    def moves_arm(self) -> bool:
        """Whether commands are sent."""
        return self in (ArmingState.ARMED, ArmingState.HOLDING)


class ArmingEvent(enum.Enum):
    """Events; the values are their names in messages."""

    ARM = "arm"
    DISARM = "disarm"
    SHADOW_ON = "set to shadow"
    SHADOW_OFF = "leave shadow"
    HOLD = "hold"
    RESUME = "resume"
    FAULT = "fault"
    STOP = "stop"
    RESET = "reset"


@dataclass(frozen=True)
class Outcome:
    """Whether a request of the user was carried out, and the answer to the user."""

    ok: bool
    message: str


_S, _E = ArmingState, ArmingEvent

# event -> state before -> state after. Other pairs are rejected.
_AFTER: Mapping[ArmingEvent, Mapping[ArmingState, ArmingState]] = MappingProxyType(
    {
        _E.ARM: {_S.DISARMED: _S.ARMED, _S.SHADOW: _S.ARMED, _S.ARMED: _S.ARMED, _S.HOLDING: _S.HOLDING},
        _E.DISARM: {state: _S.DISARMED for state in (_S.DISARMED, _S.SHADOW, _S.ARMED, _S.HOLDING)},
        _E.SHADOW_ON: {state: _S.SHADOW for state in (_S.DISARMED, _S.SHADOW, _S.ARMED, _S.HOLDING)},
        _E.SHADOW_OFF: {_S.DISARMED: _S.DISARMED, _S.SHADOW: _S.DISARMED},
        _E.HOLD: {_S.ARMED: _S.HOLDING, _S.HOLDING: _S.HOLDING},
        _E.RESUME: {_S.ARMED: _S.ARMED, _S.HOLDING: _S.ARMED},
        _E.FAULT: {state: _S.FAULT for state in _S if state is not _S.STOPPED},
        _E.STOP: {state: _S.STOPPED for state in _S},
        _E.RESET: {_S.FAULT: _S.DISARMED, _S.STOPPED: _S.DISARMED},
    }
)


class Arming:
    """The state and its reason; starts DISARMED."""

    def __init__(self) -> None:
        self.state = ArmingState.DISARMED
        self.reason = ""

    def apply(self, event: ArmingEvent, reason: str = "") -> Outcome:
        """Apply `event` if the table allows it; otherwise the outcome says what to do instead."""
        before = self.state
        after = _AFTER[event].get(before)
        if after is None:
            return Outcome(False, self._rejection(event))
        self.state = after
        changed = after is not before
        if changed or event is ArmingEvent.HOLD:  # a second stop keeps the reason of the first
            self.reason = reason
        return Outcome(True, after.name.lower() if changed else f"already {after.name.lower()}")

    def _rejection(self, event: ArmingEvent) -> str:
        state = self.state.name.lower()
        because = f" ({self.reason})" if self.reason else ""
        if self.state in (ArmingState.FAULT, ArmingState.STOPPED):
            return f"cannot {event.value}: {state}{because}; reset first"
        if event is ArmingEvent.RESET:
            return f"nothing to reset: {state}{because}"
        if event is ArmingEvent.SHADOW_OFF:
            return f"cannot leave shadow: {state}{because}; disarm instead"
        return f"cannot {event.value}: {state}{because}"
