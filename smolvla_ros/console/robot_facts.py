# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The newest of what the suite publishes, as JSON values for the page: `motion` ten times a second, `health` once.

Fields are read by name, as in `wire.py`, and nothing of ROS is imported. Times are seconds since `start_ns`; angles are
in radians; numbers that are not finite become null, because JSON has none.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from smolvla_ros.chunk import MAX_TEXT
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.wire import WireError, header_stamp_ns, joints_from_msg, nanoseconds

MAX_SAMPLES = 100  # of joints between two `motion`
MAX_SEAMS = 12
MAX_TASKS = 12
MAX_WARNINGS = 30
MAX_PLAN_POINTS = 40
WARN, ERROR = 30, 40  # rcl_interfaces/Log
LEVELS = ("ok", "warning", "error", "stale")  # of diagnostic_msgs/DiagnosticStatus
NUMBERS = (
    "queue_length",
    "threshold",
    "joint_states_age",
    "chunk_age",
    "inference_latency_p50",
    "inference_latency_p95",
    "request_latency_p50",
    "request_latency_p95",
    "following_error",
    "commands",
    "requests",
    "timeouts",
    "chunks_accepted",
    "starved_periods",
)  # of ExecutorState, as they are


class RobotFacts:
    """`add_...` methods take messages of the topics."""

    def __init__(self, joint_names: tuple[str, ...], start_ns: int) -> None:
        self._joint_names, self._start_ns = joint_names, start_ns
        self._measured: deque[list[float | None]] = deque(maxlen=MAX_SAMPLES)
        self._commanded: deque[list[float | None]] = deque(maxlen=MAX_SAMPLES)
        self._seams: deque[tuple[float, int]] = deque(maxlen=MAX_SEAMS)
        self._tasks: deque[str] = deque(maxlen=MAX_TASKS)
        self._warnings: deque[dict[str, Any]] = deque(maxlen=MAX_WARNINGS)
        self._diagnostics: dict[str, dict[str, Any]] = {}
        self._servos: list[dict[str, Any]] = []
        self._plan: dict[str, Any] | None = None  # that the page does not have yet
        self._commander: tuple[str, float] = ("", math.nan)
        self._progress: dict[str, Any] | None = None
        self._authority = ""

    def add_joint_states(self, message: Any) -> None:
        with suppress(WireError):  # the executor reports it
            self._measured.append(self._sample(message))

    def add_command(self, message: Any) -> None:
        with suppress(WireError):
            sample = self._sample(message)
            self._commanded.append(sample)
            self._commander = (str(message.header.frame_id), sample[0] or 0.0)

    def add_chunk(self, message: Any) -> None:
        self._seams.append((self._seconds(header_stamp_ns(message)), int(message.chunk_id)))

    def add_plan(self, message: Any) -> None:
        """The plan: its first point is due at the stamp."""
        start_s = self._seconds(header_stamp_ns(message))
        points = message.points[:: max(1, math.ceil(len(message.points) / MAX_PLAN_POINTS))]
        self._plan = {
            "t": [round(start_s + nanoseconds(point.time_from_start) / NANOSECONDS, 3) for point in points],
            "positions": [numbers(point.positions) for point in points],
        }

    def add_task(self, message: Any) -> None:
        """A task; the history has each once, the newest first."""
        task = str(message.data)
        if task in self._tasks:
            self._tasks.remove(task)
        if task:
            self._tasks.appendleft(task)

    def add_servo_states(self, message: Any) -> None:
        fields = ("temperature", "voltage", "current", "load", "error_bits", "communication_errors")
        columns = (numbers(getattr(message, field)) for field in fields)
        self._servos = [
            {"name": str(name), **dict(zip(fields, values, strict=True))}
            for name, *values in zip(message.name, *columns, strict=False)
        ]

    def add_diagnostics(self, message: Any) -> None:
        for status in message.status:
            level = int.from_bytes(bytes(status.level), "little")
            self._diagnostics[str(status.name)] = {
                "level": LEVELS[min(level, len(LEVELS) - 1)],
                "message": str(status.message),
                "values": {str(pair.key): str(pair.value) for pair in status.values},
                "t": self._seconds(header_stamp_ns(message)),
            }

    def add_log(self, message: Any) -> None:
        """A message of /rosout; those below a warning are left out."""
        if message.level >= WARN:
            self._warnings.appendleft(
                {
                    "t": self._seconds(nanoseconds(message.stamp)),
                    "level": "error" if message.level >= ERROR else "warning",
                    "node": str(message.name),
                    "text": str(message.msg)[: 2 * MAX_TEXT],
                }
            )

    def add_task_progress(self, message: Any) -> None:
        self._progress = {
            "task": str(message.task),
            "score": number(message.score),
            "success": bool(message.success),
            "successes": int(message.successes),
            "tasks": int(message.tasks),
        }

    def add_authority(self, message: Any) -> None:
        """Who has control of the arm."""
        self._authority = str(message.data)

    def motion(self, now_ns: int, state: Any | None) -> dict[str, Any]:
        """Joints since the last call, the plan if there is a new one, who has control, and the executor's state."""
        plan, self._plan = self._plan, None
        now_s = self._seconds(now_ns)
        commander, commanded_s = self._commander
        return {
            "kind": "motion",
            "t": now_s,
            "state": None if state is None else executor_facts(state),
            "measured": _take_all(self._measured),
            "commanded": _take_all(self._commanded),
            "plan": plan,
            "seams": list(self._seams),
            "authority": self._authority,
            "commander": commander,
            "commander_age": number(now_s - commanded_s),
        }

    def health(self) -> dict[str, Any]:
        """Servos, diagnostics, warnings, history of tasks, and the score of a simulated world."""
        return {
            "kind": "health",
            "servos": self._servos,
            "diagnostics": self._diagnostics,
            "warnings": list(self._warnings),
            "tasks": list(self._tasks),
            "progress": self._progress,
        }

    def _sample(self, message: Any) -> list[float | None]:
        joints = joints_from_msg(message, self._joint_names)
        return [self._seconds(joints.stamp_ns), *numbers(joints.positions_rad)]

    def _seconds(self, stamp_ns: int) -> float:
        return round((stamp_ns - self._start_ns) / NANOSECONDS, 3)


def executor_facts(state: Any) -> dict[str, Any]:
    """An ExecutorState."""
    return {
        "name": ArmingState(state.state).name.lower(),
        "reason": str(state.reason),
        "task": str(state.task),
        "trigger": str(state.trigger),
        "fusion": str(state.fusion),
        "queue_s": number(nanoseconds(state.queue_duration) / NANOSECONDS),
        "chunk_s": number(nanoseconds(state.chunk_duration) / NANOSECONDS),
        "chunk_ids": [int(chunk_id) for chunk_id in state.chunk_ids],
        "rejected": _counts(state.rejected_reasons, state.rejected_counts),
        "limited": _counts(state.joint_names, state.clamps),
        **{name: number(getattr(state, name)) for name in NUMBERS},
    }


def number(value: float) -> float | None:
    """Rounded to four decimals; None if it is not finite."""
    return round(float(value), 4) if math.isfinite(value) else None


def numbers(values: Iterable[float]) -> list[float | None]:
    return [number(value) for value in values]


def _counts(names: Iterable[str], counts: Iterable[int]) -> dict[str, int]:
    """Those that are not zero."""
    return {str(name): int(count) for name, count in zip(names, counts, strict=True) if count}


def _take_all(samples: deque[list[float | None]]) -> list[list[float | None]]:
    taken = list(samples)
    samples.clear()
    return taken
