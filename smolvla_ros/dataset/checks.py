# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with recorded episodes, one function a defect; each gives what it measured and what to do.

A dataset stores a perfect grid in place of the times of capture, so a loop that was slower than stated shows only in
its images, which repeat; a bag still has the stamps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from smolvla_ros.dataset.inspection import InspectedEpisode, JointTrack
from smolvla_ros.dataset.stream_timing import FloatArray, gap_lengths_s, mean_rate_hz
from smolvla_ros.dataset.task_text import suggest_task, task_problem
from smolvla_ros.robot import RobotSpec

Severity = Literal["error", "warning"]

RATE_TOLERANCE = 0.05  # share of the stated rate
MAX_SKEW_S = 0.05  # of what goes into one observation; the policy node's default too
FROZEN_S = 0.5  # an image that stays for so long while the arm moves
MOVES_RAD = 0.1  # what counts as moving meanwhile
STATIC_RAD = 0.01  # a joint that stays within this, half a degree, through all episodes
SPEED_MARGIN = 1.5  # over the URDF's speed, for noise and times that are rounded to the grid
MIN_JUMP_RAD = 0.05  # smaller steps are noise, however short their time
DUPLICATES = 0.05  # share of images that repeat the one before, beyond which the loop was slow
MAX_LAG_S = 0.3
LAG_WINDOW_S = 1.0
LAG_CORRELATION = 0.5  # below it action and state do not tell a lag
LIMIT_TOLERANCE_RAD = 0.35  # arms are calibrated by hand
NAMED = 3  # episodes that a message names


@dataclass(frozen=True)
class Defect:
    """Something wrong: `check` names it, `where` says in which episodes, streams or joints."""

    severity: Severity
    check: str
    where: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Lag:
    """By how much the state follows the action, in seconds, and how sure that is (0 .. 1)."""

    seconds: float
    correlation: float


def check_episodes(episodes: Sequence[InspectedEpisode], robot: RobotSpec) -> list[Defect]:
    """All defects of the episodes, those of many episodes told once."""
    found: dict[tuple[Severity, str, str, str], list[tuple[str, str]]] = {}
    for episode in episodes:
        for defect in of_episode(episode, robot):
            key = (defect.severity, defect.check, defect.where, defect.remedy)
            found.setdefault(key, []).append((episode.name, defect.message))
    told = [
        Defect(severity, check, f"{where}{_named(cases)}", cases[0][1], remedy)
        for (severity, check, where, remedy), cases in found.items()
    ]
    return sorted([*told, *static_joints(episodes, robot)], key=lambda d: (d.severity != "error", d.check))


def of_episode(episode: InspectedEpisode, robot: RobotSpec) -> Iterator[Defect]:
    """The defects that show in one episode alone."""
    if episode.has_capture_times:
        yield from rates(episode)
        yield from gaps(episode)
        yield from skews(episode)
        yield from beyond_limits(episode, robot)
    yield from frozen_cameras(episode)
    yield from duplicate_frames(episode)
    yield from jumps(episode, robot)
    yield from action_lag(episode)
    yield from tasks(episode)


def rates(episode: InspectedEpisode) -> Iterator[Defect]:
    """Cameras, whose rate is stated; one that is faster is no harm."""
    for name, camera in episode.cameras.items():
        true_hz = mean_rate_hz(np.diff(camera.times_s))
        if true_hz < camera.rate_hz * (1 - RATE_TOLERANCE):
            yield Defect(
                "warning",
                "rate",
                name,
                f"{true_hz:.1f} images a second, stated are {camera.rate_hz:.0f}",
                "More light, another USB port or a smaller image; or state the true rate when converting",
            )


def gaps(episode: InspectedEpisode) -> Iterator[Defect]:
    streams = {name: camera.times_s for name, camera in episode.cameras.items()}
    streams["joint states"] = episode.state.times_s
    for name, times_s in streams.items():
        steps_s = np.diff(times_s)
        if len(steps_s) == 0:
            continue
        usual_s = float(np.median(steps_s))
        if (steps_s < 0).any():
            yield Defect(
                "error",
                "order",
                name,
                f"its stamps go back by up to {-steps_s.min():.3f} s",
                "A clock was set, or two nodes publish under one name; record again",
            )
            continue
        wide = gap_lengths_s(steps_s, usual_s)
        if len(wide):
            yield Defect(
                "warning",
                "gaps",
                name,
                f"{len(wide)} gaps, the longest {wide.max():.2f} s, where {usual_s * 1e3:.0f} ms are usual",
                "Find out who lost them: the recorder's report tells its own; leave the episode out if they are long",
            )


def skew_s(episode: InspectedEpisode) -> FloatArray:
    """For every image of every camera, how far the nearest sample of the furthest other stream is, in s."""
    streams = [*(camera.times_s for camera in episode.cameras.values()), episode.state.times_s]
    streams = [np.sort(times) for times in streams if len(times)]
    worst = [
        np.max([_distance(times, other) for other in streams if other is not times], axis=0)
        for times in streams[: len(episode.cameras)]
        if len(streams) > 1
    ]
    return np.concatenate(worst) if worst else np.zeros(0)


def skews(episode: InspectedEpisode) -> Iterator[Defect]:
    skew = skew_s(episode)
    if len(skew) and (high := float(np.percentile(skew, 95))) > MAX_SKEW_S:
        yield Defect(
            "warning",
            "skew",
            "all streams",
            f"what belongs to one moment is up to {high * 1e3:.0f} ms apart (95th percentile)",
            "Look whether the clocks of all computers agree, and whether a camera stamps late",
        )


def frozen_cameras(episode: InspectedEpisode) -> Iterator[Defect]:
    for name, camera in episode.cameras.items():
        for start, end in _same(camera.changes):
            start_s, end_s = camera.times_s[start], camera.times_s[end - 1]
            if end_s - start_s < FROZEN_S or _moved(episode.state, start_s, end_s) < MOVES_RAD:
                continue
            yield Defect(
                "error",
                "frozen camera",
                name,
                f"the image stays for {end_s - start_s:.1f} s, {start_s:.1f} s into the episode, while the arm moves",
                "Leave the episode out, and look at the camera's cable and power",
            )
            break


def duplicate_frames(episode: InspectedEpisode) -> Iterator[Defect]:
    """Images that repeat the one before while the arm moves; long runs are frozen cameras."""
    for name, camera in episode.cameras.items():
        repeated, seen = 0, max(1, len(camera.changes) - 1)
        for start, end in _same(camera.changes):
            duration_s = camera.times_s[end - 1] - camera.times_s[start]
            if duration_s < FROZEN_S and _moves_around(episode.state, camera.times_s[start]):
                repeated += end - start - 1
        if repeated > DUPLICATES * seen:
            share = repeated / seen
            yield Defect(
                "warning",
                "duplicate frames",
                name,
                f"{share:.0%} of the images repeat the one before: about {camera.rate_hz * (1 - share):.0f} new ones a "
                f"second, stated are {camera.rate_hz:.0f}",
                "The camera or the loop was slower than stated, or was put on a grid of nearly its rate",
            )


def jumps(episode: InspectedEpisode, robot: RobotSpec) -> Iterator[Defect]:
    """Steps of the state that no joint can make."""
    steps_s = np.diff(episode.state.times_s)
    usual_s = max(float(np.median(steps_s)), 1e-3) if len(steps_s) else 1.0
    steps_s = np.maximum(steps_s, usual_s / 2)[:, None]  # two samples may be read in short succession
    moves = np.abs(np.diff(episode.state.positions_rad, axis=0))
    possible = np.maximum(SPEED_MARGIN * robot.max_speed_rad_s * steps_s, MIN_JUMP_RAD)
    for index, joint in enumerate(robot.joints):
        beyond = np.nonzero(moves[:, index] > possible[:, index])[0]
        if len(beyond):
            worst = int(beyond[np.argmax(moves[beyond, index])])
            yield Defect(
                "error",
                "jumps",
                joint.name,
                f"{len(beyond)} steps no joint can make, the largest {moves[worst, index]:.2f} rad in "
                f"{steps_s[worst, 0] * 1e3:.0f} ms, {episode.state.times_s[worst]:.1f} s into the episode (URDF: "
                f"{joint.max_speed_rad_s:.1f} rad/s)",
                "Readings were damaged or left out, or the joint wraps: look at the wiring and the calibration",
            )


def beyond_limits(episode: InspectedEpisode, robot: RobotSpec) -> Iterator[Defect]:
    """Positions outside of the URDF's limits: topics are in another unit than radians, or of another calibration."""
    positions = episode.state.positions_rad
    if not len(positions):
        return
    beyond = np.maximum(robot.lower_rad - positions.min(axis=0), positions.max(axis=0) - robot.upper_rad)
    worst = int(np.argmax(beyond))
    if beyond[worst] > LIMIT_TOLERANCE_RAD:
        joint = robot.joints[worst]
        yield Defect(
            "error",
            "units",
            joint.name,
            f"it is up to {beyond[worst]:.2f} rad beyond its limits {joint.lower_rad:.2f} .. {joint.upper_rad:.2f}",
            "Joint states are in radians; check who publishes them, and the calibration",
        )


def lag(episode: InspectedEpisode) -> Lag | None:
    """From the correlation of both velocities on the stated grid; None where they tell none."""
    state, action = episode.state, episode.action
    if action is None or len(state.times_s) < 3 or len(action.times_s) < 3:
        return None
    step_s = 1 / episode.rate_hz
    start_s = max(state.times_s[0], action.times_s[0])
    grid = np.arange(start_s, min(state.times_s[-1], action.times_s[-1]), step_s)
    window = round(LAG_WINDOW_S / step_s)
    if len(grid) < 3 * window:
        return None
    speeds = [np.gradient(_on_grid(motion, grid), step_s, axis=0) for motion in (state, action)]
    speeds = [np.nan_to_num(speed - np.nanmean(speed, axis=0)) for speed in speeds]
    shifts = range(-window, window + 1)
    middle = slice(window, len(grid) - window)
    scores = [_correlation(speeds[0][middle], np.roll(speeds[1], by, axis=0)[middle]) for by in shifts]
    best = int(np.argmax(scores))
    return Lag(shifts[best] * step_s, scores[best]) if scores[best] >= LAG_CORRELATION else None


def action_lag(episode: InspectedEpisode) -> Iterator[Defect]:
    if episode.action is None:
        yield Defect(
            "error",
            "action",
            "joint_commands",
            "there are no actions",
            "Record joint_commands too, or name the topic that has them",
        )
        return
    if np.array_equal(episode.state.positions_rad, episode.action.positions_rad, equal_nan=True):
        yield Defect(
            "warning",
            "action",
            "all joints",
            "action and state are the same numbers",
            "The action must be what was commanded (the leader's pose), else the policy learns to stand still",
        )
        return
    found = lag(episode)
    if found is None:
        return
    if found.seconds < 0:
        yield Defect(
            "error",
            "action lag",
            "all joints",
            f"the state moves {-found.seconds * 1e3:.0f} ms before the action",
            "Actions are stamped late or shifted by frames: the policy would learn from the future",
        )
    elif found.seconds > MAX_LAG_S:
        yield Defect(
            "warning",
            "action lag",
            "all joints",
            f"the state follows the action after {found.seconds * 1e3:.0f} ms",
            "A slow bus or a low gain of the servos; a policy has to wait for so long too",
        )


def tasks(episode: InspectedEpisode) -> Iterator[Defect]:
    if not episode.tasks:
        yield Defect("error", "task", "task", "there is none", "Give it when converting: --task TEXT")
    for task in episode.tasks:
        fault = task_problem(task)
        if fault:
            better = suggest_task(task)
            yield Defect(
                "warning",
                "task",
                f"'{task}'",
                f"it {fault}",
                f"Perhaps '{better}'"
                if better
                else "Say what to do with what, as in 'Put the cube in the box'",
            )


def static_joints(episodes: Sequence[InspectedEpisode], robot: RobotSpec) -> Iterator[Defect]:
    """Joints that never move, in any episode."""
    moving = [episode.state.positions_rad for episode in episodes if len(episode.state.positions_rad)]
    if not moving:
        return
    reach = np.max([positions.max(axis=0) for positions in moving], axis=0) - np.min(
        [positions.min(axis=0) for positions in moving], axis=0
    )
    for joint, extent in zip(robot.joints, reach):
        if extent < STATIC_RAD:
            yield Defect(
                "warning",
                "static joint",
                joint.name,
                f"it moves {extent:.4f} rad in all episodes together",
                "Is its motor connected, and does the task need it? Its statistics will have no spread",
            )


def _named(cases: Sequence[tuple[str, str]]) -> str:
    names = [name for name, _ in cases]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f", {', '.join(names[:NAMED])}{more}"


def _distance(times_s: FloatArray, other_s: FloatArray) -> FloatArray:
    """Of each time to the nearest one of another stream, which is sorted."""
    right = np.clip(np.searchsorted(other_s, times_s), 1, max(1, len(other_s) - 1))
    nearest = np.minimum(
        np.abs(times_s - other_s[right - 1]), np.abs(times_s - other_s[np.minimum(right, len(other_s) - 1)])
    )
    return np.asarray(nearest)


def _same(changes: npt.NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    """Runs start .. end of images that show the same; single ones are none."""
    starts = np.nonzero(changes)[0]
    ends = np.append(starts[1:], len(changes))
    return [(int(start), int(end)) for start, end in zip(starts, ends) if end - start > 1]


def _moved(state: JointTrack, start_s: float, end_s: float) -> float:
    """How far the furthest joint went in a span of time, rad."""
    inside = (state.times_s >= start_s) & (state.times_s <= end_s)
    positions = state.positions_rad[inside]
    return float(np.nan_to_num(np.ptp(positions, axis=0)).max()) if len(positions) else 0.0


def _moves_around(state: JointTrack, moment_s: float) -> bool:
    return _moved(state, moment_s - FROZEN_S / 2, moment_s + FROZEN_S / 2) >= MOVES_RAD / 2


def _correlation(one: FloatArray, other: FloatArray) -> float:
    norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / norm if norm else 0.0


def _on_grid(motion: JointTrack, grid: FloatArray) -> FloatArray:
    columns = [np.interp(grid, motion.times_s, column) for column in motion.positions_rad.T]
    return np.stack(columns, axis=1)
