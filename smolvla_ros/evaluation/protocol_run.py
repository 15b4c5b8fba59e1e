# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trials of a protocol, one after the other: a person begins each, ends it, and judges what it came to.

What is done already is what the log holds, so that a run continues where the last one stopped. Times are given in
seconds of any one clock; the fields of ExecutorState are read by name.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from typing import Any

from smolvla_ros.arrays import FloatArray
from smolvla_ros.evaluation.protocol import ProtocolTask
from smolvla_ros.evaluation.results import ResultsLog, TrialResult, roughness
from smolvla_ros.execution.arming import ArmingState

FAILURES = ("wrong_object", "dropped", "stuck", "unsafe")
ACTIVE = (ArmingState.ARMED, ArmingState.HOLDING)


class TrialError(ValueError):
    """What a person wants to do with a trial cannot be done now; the message says what can."""


class Phase(enum.Enum):
    """Of the run."""

    READY = "ready"  # for the next trial
    RUNNING = "running"
    ENDED = "ended"  # the trial is over and waits for its outcome
    DONE = "done"  # all trials have their outcomes


class ProtocolRun:
    """The state of a run. `task`: of the present or next trial, None when all are done; `log`: all outcomes."""

    def __init__(self, protocol: Sequence[ProtocolTask], log: ResultsLog) -> None:
        self._protocol, self.log = protocol, log
        self._reset()

    def _reset(self) -> None:
        """Prepare for the next trial."""
        unfinished = (task for task in self._protocol if self._repetitions(task) < task.repetitions)
        self.task = next(unfinished, None)
        self._began_s: float | None = None
        self._ended_s: float | None = None
        self._first: Any = None  # states of the executor, at the begin and at the end
        self._last: Any = None
        self._commands: list[FloatArray] = []

    def _repetitions(self, task: ProtocolTask) -> int:
        """How many trials of a task have outcomes."""
        return sum(_is_of(result, task) for result in self.log.results)

    @property
    def phase(self) -> Phase:
        if self.task is None:
            return Phase.DONE
        if self._began_s is None:
            return Phase.READY
        return Phase.RUNNING if self._ended_s is None else Phase.ENDED

    @property
    def total(self) -> int:
        """Number of trials of the protocol."""
        return sum(task.repetitions for task in self._protocol)

    @property
    def done(self) -> int:
        """How many of them have outcomes."""
        return sum(min(self._repetitions(task), task.repetitions) for task in self._protocol)

    def elapsed_s(self, now_s: float) -> float | None:
        """How long the trial has taken, at most its limit; None: it has not begun."""
        if self.task is None or self._began_s is None:
            return None
        return min((now_s if self._ended_s is None else self._ended_s) - self._began_s, self.task.limit_s)

    def next_task(self, state: Any) -> ProtocolTask:
        """The task of the trial that may begin now. `state`: of the executor, or None. Raises TrialError."""
        if self.task is None:
            raise TrialError("all trials are done; undo the last one, or give another protocol")
        if self.phase is not Phase.READY:
            raise TrialError("a trial has begun already; end it and judge it first")
        if state is None or state.state not in ACTIVE:
            raise TrialError("the executor is not armed; arm it, then begin")
        return self.task

    def begin(self, now_s: float, state: Any) -> ProtocolTask:
        """Begin the next trial; returns its task, which is to be given to the executor. Raises TrialError."""
        task = self.next_task(state)
        self._began_s, self._first = now_s, state
        return task

    def add_command(self, positions_rad: FloatArray) -> None:
        """A joint command; only those during a trial count."""
        if self.phase is Phase.RUNNING:
            self._commands.append(positions_rad)

    def update(self, now_s: float, state: Any) -> bool:
        """End a trial whose time is over or whose arm has been stopped; returns whether it did."""
        elapsed_s = self.elapsed_s(now_s)
        if self.task is None or elapsed_s is None or self.phase is not Phase.RUNNING:
            return False
        if elapsed_s < self.task.limit_s and state.state in ACTIVE:
            return False
        self.end(now_s, state)
        return True

    def end(self, now_s: float, state: Any) -> None:
        """The trial is over; its task is to be withdrawn. Raises TrialError."""
        if self.phase is not Phase.RUNNING:
            raise TrialError("no trial is under way; begin one")
        self._ended_s, self._last = now_s, state

    def judge(self, success: bool, stages: Collection[str], failures: Collection[str]) -> TrialResult:
        """Write the outcome to the log, and prepare the next trial. A success has reached all stages.

        Raises TrialError, and OSError if the log cannot be written.
        """
        if self.task is None or self.phase is not Phase.ENDED:
            raise TrialError("no trial waits for its outcome; begin one, and end it")
        unknown = [name for name in stages if name not in self.task.stages]
        if unknown:
            raise TrialError(
                f"the task has no stage '{unknown[0]}'; it has {', '.join(self.task.stages) or 'none'}"
            )
        reached = {name: points for name, points in self.task.stages.items() if success or name in stages}
        result = self._result(self.task, success, reached, failures)
        self.log.append(result)
        self._reset()
        return result

    def undo(self) -> None:
        """Forget a trial without an outcome, or remove the last outcome from the log: it is tried once more.

        Raises TrialError, and OSError if the log cannot be written.
        """
        if self.phase is Phase.RUNNING:
            raise TrialError("the trial is under way; end it first")
        if self.phase is not Phase.ENDED:
            if not self.can_undo:
                raise TrialError("the log has no outcome of this protocol at its end")
            self.log.drop_last()
        self._reset()

    @property
    def can_undo(self) -> bool:
        last = self.log.results[-1:]
        return self.phase is Phase.ENDED or any(_is_of(r, task) for r in last for task in self._protocol)

    def _result(
        self, task: ProtocolTask, success: bool, reached: dict[str, float], failures: Collection[str]
    ) -> TrialResult:
        def counted(name: str) -> int:
            return max(0, int(getattr(self._last, name)) - int(getattr(self._first, name)))

        return TrialResult(
            seed=len(self.log.results),
            instruction=task.task,
            said=task.task,
            success=success,
            score=1.0 if success else round(sum(reached.values()), 6),
            time_s=self.elapsed_s(0.0) if success else None,
            wrong_object="yes" if "wrong_object" in failures else None,
            dropped="dropped" in failures,
            stuck="stuck" in failures,
            hit_table=False,
            reached=reached,
            chunks=counted("chunks_accepted"),
            starved_periods=counted("starved_periods"),
            periods=counted("commands"),
            roughness=roughness(self._commands),
            conditions={"setup": task.setup, "trigger": task.trigger, "limit_s": task.limit_s, "live": True},
            unsafe="unsafe" in failures,
        )


def _is_of(result: TrialResult, task: ProtocolTask) -> bool:
    conditions = result.conditions
    return (result.instruction, conditions.get("setup"), conditions.get("trigger")) == task.key
