# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets from a person, who takes control from the policy and gives it back.

The first target of an operator (the node that sends a person's targets) takes control; while the operator sends
nothing, the arm holds and control stays with the person until it is given back. Control is taken by the first target
after a pause of PAUSE_S only, so that a stream of targets which continues after control was given back, or after the
arm was armed, takes control of nothing.
"""

from __future__ import annotations

from smolvla_ros.arrays import FloatArray
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints

PAUSE_S = 0.5
SHOWN_CHARACTERS = 80  # of an operator's name in messages: senders choose it


class OperatorError(ValueError):
    """A person's target is refused; the message has the cause and the remedy."""


class OperatorSource:
    """Whether a person has control, and the newest target."""

    def __init__(self, config: ExecutorConfig) -> None:
        self.config = config  # may be changed at any time
        self.has_control = False
        self._name = ""  # of the operator; empty: none has sent a target since control was taken
        self._goals: Joints | None = None
        self._heard_ns: dict[str, int] = {}  # operators that have to pause: when their newest target came

    @property
    def shown_name(self) -> str:
        """The operator's name as messages show it: shortened and escaped."""
        return repr(self._name[:SHOWN_CHARACTERS]) if self._name else "the operator"

    def take(self) -> None:
        """A person takes control; whose target is the first one is the operator."""
        self._name, self._goals = "", None
        self.has_control = True

    def release(self) -> None:
        """The person has no control any more."""
        self._name, self._goals = "", None
        self.has_control = False

    def accept(self, name: str, goals: Joints, now_ns: int, refusal: str) -> bool:
        """Use a target of the operator `name`; returns whether control was taken by it. Raises OperatorError.

        `refusal`: why no target is accepted now; empty if one may be.
        """
        problem = refusal or self._stamp_problem(goals, now_ns) or self._turn_problem(name, now_ns)
        pausing = {other: ns for other, ns in self._heard_ns.items() if self._is_pausing(ns, now_ns)}
        self._heard_ns = {**pausing, name: now_ns}
        if problem:
            raise OperatorError(problem)
        takes = not self.has_control
        self._name, self._goals, self.has_control = name, goals, True
        return takes

    def target(self, now_ns: int) -> tuple[FloatArray | None, str]:
        """The newest target (joints,) rad, or None and why there is none."""
        if self._goals is None or self._stamp_problem(self._goals, now_ns):
            return None, f"{self.shown_name} has control and sends no target"
        return self._goals.positions_rad, ""

    def _stamp_problem(self, goals: Joints, now_ns: int) -> str:
        age_s = (now_ns - goals.stamp_ns) / NANOSECONDS
        if age_s > self.config.operator_timeout_s:
            return f"its target is {age_s:.2f} s old, more than operator_timeout_s={self.config.operator_timeout_s}"
        if age_s < -self.config.max_ahead_s:
            return f"its target is stamped {-age_s:.2f} s in the future; do the clocks agree?"
        return ""

    def _turn_problem(self, name: str, now_ns: int) -> str:
        if name == self._name:
            return ""
        if self._name and self.target(now_ns)[0] is not None:
            return f"{self.shown_name} leads; stop it first"
        heard_ns = self._heard_ns.get(name)
        if heard_ns is not None and self._is_pausing(heard_ns, now_ns):
            return f"it has to pause for {PAUSE_S} s first"
        return ""

    def _is_pausing(self, heard_ns: int, now_ns: int) -> bool:
        return abs(now_ns - heard_ns) < PAUSE_S * NANOSECONDS  # the clock may have jumped back
