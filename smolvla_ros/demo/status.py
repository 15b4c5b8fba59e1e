# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows while it runs: a screen redrawn on a terminal, else one plain line now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass

from smolvla_ros.demo.recording import Recording, percentile, recent_rate_hz
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import RobotSpec
from smolvla_ros.wire import nanoseconds

BAR_WIDTH = 31
RECENT_CHUNKS = 20
HOME, CLEAR_LINE, CLEAR_BELOW = "\033[H", "\033[K", "\033[J"


@dataclass(frozen=True)
class Status:
    """The present moment. `joints_deg`: (name, measured, commanded, lower, upper) for each joint."""

    elapsed_s: float
    state: str
    reason: str
    task: str
    queue_s: float
    queue_actions: int
    chunk_age_s: float
    inference_s: float  # median of the last chunks
    chunks: int
    rejected: int
    starved_periods: int
    rates_hz: dict[str, float]
    joints_deg: tuple[tuple[str, float, float, float, float], ...]


def status(recording: Recording, robot: RobotSpec, start_ns: int, now_ns: int) -> Status:
    """What a recording says about now."""
    state = recording.state
    streams = {
        "joint states": recording.measured.stamps_ns,
        "commands": recording.commanded.stamps_ns,
        **recording.image_stamps_ns,
    }
    nan = [math.nan] * len(robot.joints)
    measured = nan if recording.measured.last_rad is None else recording.measured.last_rad
    commanded = nan if recording.commanded.last_rad is None else recording.commanded.last_rad
    return Status(
        elapsed_s=(now_ns - start_ns) / NANOSECONDS,
        state="unknown" if state is None else ArmingState(state.state).name.lower(),
        reason="" if state is None else str(state.reason),
        task="" if state is None else str(state.task),
        queue_s=0.0 if state is None else nanoseconds(state.queue_duration) / NANOSECONDS,
        queue_actions=0 if state is None else int(state.queue_length),
        chunk_age_s=math.nan if state is None else float(state.chunk_age),
        inference_s=percentile([chunk.inference_s for chunk in recording.chunks[-RECENT_CHUNKS:]], 50),
        chunks=0 if state is None else int(state.chunks_accepted),
        rejected=0 if state is None else sum(map(int, state.rejected_counts)),
        starved_periods=0 if state is None else int(state.starved_periods),
        rates_hz={name: recent_rate_hz(stamps, now_ns) for name, stamps in streams.items()},
        joints_deg=tuple(
            (joint.name, *map(math.degrees, (now_rad, goal_rad, joint.lower_rad, joint.upper_rad)))  # type: ignore[misc]
            for joint, now_rad, goal_rad in zip(robot.joints, measured, commanded, strict=True)
        ),
    )


def screen(status: Status, title: str, seconds: float) -> str:
    """The whole screen, to be written over the last one."""
    until = f" of {seconds:.0f}" if seconds else ""
    rates = "   ".join(f"{name} {rate:.1f}" for name, rate in status.rates_hz.items())
    lines = [
        title,
        "",
        f"{status.elapsed_s:.1f}{until} s, Ctrl-C ends",
        f"task        {status.task}",
        f"executor    {status.state.upper()}  {status.reason}".rstrip(),
        f"queue       {status.queue_s:.2f} s, {status.queue_actions} actions",
        f"chunks      {status.chunks} accepted, {status.rejected} rejected, "
        f"newest observed {_seconds(status.chunk_age_s)} ago",
        f"inference   {_seconds(status.inference_s)}",
        f"starved     {status.starved_periods} control periods",
        f"rates (Hz)  {rates}",
        "",
        f"{'joint (deg)':<15}{'measured':>9}{'command':>9}   limits",
    ]
    lines += [
        f"{name:<15}{_degrees(now)}{_degrees(goal)}   {_bar(now, goal, lower, upper)}"
        for name, now, goal, lower, upper in status.joints_deg
    ]
    return HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in lines) + CLEAR_BELOW


def line(status: Status) -> str:
    """The same in one line, for a log."""
    joints = " ".join(_degrees(now).strip() for _, now, *_ in status.joints_deg)
    rates = " ".join(f"{name} {rate:.0f}" for name, rate in status.rates_hz.items())
    reason = f" ({status.reason})" if status.reason else ""
    return (
        f"{status.elapsed_s:5.1f} s  {status.state}{reason}  joints {joints} deg  "
        f"queue {status.queue_s:.2f} s {status.queue_actions} actions  "
        f"chunk age {_seconds(status.chunk_age_s)}  inference {_seconds(status.inference_s)}  "
        f"rates {rates} Hz  starved {status.starved_periods}  rejected {status.rejected}"
    )


def _bar(now: float, goal: float, lower: float, upper: float) -> str:
    """Where measured (o) and commanded (|) positions lie between the limits."""
    cells = ["."] * BAR_WIDTH
    for value, mark in ((goal, "|"), (now, "o")):
        if not math.isnan(value):
            share = (value - lower) / (upper - lower)
            cells[min(BAR_WIDTH - 1, max(0, round(share * (BAR_WIDTH - 1))))] = mark
    return f"[{''.join(cells)}]"


def _degrees(value: float) -> str:
    return f"{'-' if math.isnan(value) else format(value, '.1f'):>9}"


def _seconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f} s"
