# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's present state: a screen for a terminal, or one plain line for a log."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from smolvla_ros.dataset.stream_timing import recent_rate_hz
from smolvla_ros.demo.observed_run import ObservedRun
from smolvla_ros.demo.summary import task_result
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import RobotSpec
from smolvla_ros.terminal import status_view
from smolvla_ros.terminal.status_view import JointStatus, format_degrees, format_seconds
from smolvla_ros.wire import nanoseconds


@dataclass(frozen=True)
class DemoStatus:
    """What the demo shows while it runs."""

    elapsed_s: float
    executor: Any | None  # the newest ExecutorState
    rates_hz: Mapping[str, float]
    joints: tuple[JointStatus, ...]
    tasks: str  # how those of the simulated world went so far


def demo_status(run: ObservedRun, robot: RobotSpec, start_ns: int, now_ns: int) -> DemoStatus:
    """The status at `now_ns` of a run that started at `start_ns`."""
    streams = {
        "joint states": run.measured.stamps_ns,
        "commands": run.commanded.stamps_ns,
        **run.image_stamps_ns,
    }
    positions_rad = zip(robot.joints, run.measured.last_rad, run.commanded.last_rad, strict=True)
    return DemoStatus(
        elapsed_s=(now_ns - start_ns) / NANOSECONDS,
        executor=run.state,
        rates_hz={name: recent_rate_hz(stamps, now_ns) for name, stamps in streams.items()},
        joints=tuple(
            JointStatus(joint.name, *map(math.degrees, (at_rad, goal_rad, joint.lower_rad, joint.upper_rad)))
            for joint, at_rad, goal_rad in positions_rad
        ),
        tasks=task_result(run),
    )


def status_screen(status: DemoStatus, title: str, seconds: float, typed: str, width: int) -> str:
    """Text that replaces the previous screen.

    seconds: how long the demo runs, 0 for no limit. typed: the part of an instruction that has been typed.
    """
    limit = f" of {seconds:.0f}" if seconds else ""
    rates = "   ".join(f"{name} {rate:.1f}" for name, rate in status.rates_hz.items())
    lines = [
        Text(title),
        Text(f"{status.elapsed_s:.1f}{limit} s, Ctrl-C ends. Another instruction and ENTER: {typed}_"),
        *status_view.executor_lines(status.executor),
        *([status_view.labelled("tasks", status.tasks)] if status.tasks else []),
        status_view.labelled("rates", f"{rates} Hz"),
        status_view.joint_table(status.joints),
    ]
    return status_view.render_screen(lines, width)


def status_line(status: DemoStatus) -> str:
    """The most important figures in one line without control characters."""
    state = status.executor
    joints = " ".join(format_degrees(joint.measured_deg) for joint in status.joints)
    rates = "rates " + " ".join(f"{name} {rate:.0f}" for name, rate in status.rates_hz.items()) + " Hz"
    if state is None:
        return f"{status.elapsed_s:5.1f} s  executor state unknown  joints {joints} deg  {rates}"
    reason = f" ({state.reason})" if state.reason else ""
    return (
        f"{status.elapsed_s:5.1f} s  {ArmingState(state.state).name.lower()}{reason}  joints {joints} deg  "
        f"queue {nanoseconds(state.queue_duration) / NANOSECONDS:.2f} s {state.queue_length} actions  "
        f"chunk age {format_seconds(state.chunk_age, 2)}  "
        f"inference {format_seconds(state.inference_latency_p50, 2)}  "
        f"{rates}  starved {state.starved_periods}  rejected {sum(state.rejected_counts)}"
    )
