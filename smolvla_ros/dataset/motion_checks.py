# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of joint states and actions: jumps, limits, the lag of the state behind the action, joints that never move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.dataset.inspection import InspectedEpisode, JointTrack
from smolvla_ros.finding import Finding
from smolvla_ros.robot import RobotSpec

STATIC_RAD = 0.01  # half a degree: a joint that moves less in all episodes is static
SPEED_MARGIN = 1.5  # factor on the URDF's speed, for noise and times that are rounded to the grid
MIN_JUMP_RAD = 0.05  # smaller steps are noise, however short their time
MAX_LAG_S = 0.3
LAG_WINDOW_S = 1.0
MIN_LAG_CORRELATION = 0.5  # with less correlation there is no lag to measure
MOVING_RAD = 0.1  # range of a joint in an episode in which the arm does something
MAX_NOISE_RAD = 0.05  # standard deviation
# Correlation of consecutive differences between action and state, above which they are no noise: a command that leads
# by a fraction of a frame differs from the state smoothly, with a correlation near 1.
MAX_NOISE_CORRELATION = 0.3
LIMIT_TOLERANCE_RAD = 0.35  # arms are calibrated by hand


@dataclass(frozen=True)
class Lag:
    """The time by which the state follows the action, and the correlation of their velocities (0 .. 1)."""

    seconds: float
    correlation: float


def check_numbers(episode: InspectedEpisode, robot: RobotSpec) -> Iterator[Finding]:
    """Whether all values are finite; columns without any are joints whose unit is not known."""
    for name, motion in (("state", episode.state), ("action", episode.action)):
        if motion is None:
            continue
        wrong = ~np.isfinite(motion.positions_rad)
        for index in np.flatnonzero(wrong.any(axis=0) & ~wrong.all(axis=0)):
            samples = np.flatnonzero(wrong[:, index])
            first_s = float(motion.times_s[samples[0]])
            yield Finding(
                "error",
                "numbers",
                f"values of the {name} that are no finite numbers: {len(samples)}, the first {first_s:.1f} s into the "
                "episode",
                "Leave the episode out (edit_dataset --drop): a policy that is trained on it learns nothing",
                where=robot.joints[index].name,
                time_s=first_s,
            )


def check_jumps(episode: InspectedEpisode, robot: RobotSpec) -> Iterator[Finding]:
    """Whether the state changes faster than the joints can move."""
    steps_s = np.diff(episode.state.times_s)
    usual_s = max(float(np.median(steps_s)), 1e-3) if len(steps_s) else 1.0
    steps_s = np.maximum(steps_s, usual_s / 2)[:, None]  # two samples may be read in quick succession
    moves = np.abs(np.diff(episode.state.positions_rad, axis=0))
    possible = np.maximum(SPEED_MARGIN * robot.max_speed_rad_s * steps_s, MIN_JUMP_RAD)
    for index, joint in enumerate(robot.joints):
        beyond = np.nonzero(moves[:, index] > possible[:, index])[0]
        if len(beyond):
            worst = int(beyond[np.argmax(moves[beyond, index])])
            yield Finding(
                "error",
                "jumps",
                f"{len(beyond)} steps faster than the joint can move, the largest {moves[worst, index]:.2f} rad in "
                f"{steps_s[worst, 0] * 1e3:.0f} ms, {episode.state.times_s[worst]:.1f} s into the episode (URDF: "
                f"{joint.max_speed_rad_s:.1f} rad/s)",
                "Readings were damaged or missing, or the encoder wraps around: check the wiring and the calibration",
                where=joint.name,
                time_s=float(episode.state.times_s[worst]),
            )


def check_limits(episode: InspectedEpisode, robot: RobotSpec) -> Iterator[Finding]:
    """Whether positions exceed the URDF's limits: with another unit than radians, or another calibration."""
    positions = episode.state.positions_rad
    if not len(positions):
        return
    beyond = np.maximum(robot.lower_rad - positions, positions - robot.upper_rad)
    sample, index = np.unravel_index(np.argmax(beyond), beyond.shape)
    if beyond[sample, index] > LIMIT_TOLERANCE_RAD:
        joint = robot.joints[index]
        yield Finding(
            "error",
            "units",
            f"it is up to {beyond[sample, index]:.2f} rad beyond its limits "
            f"{joint.lower_rad:.2f} .. {joint.upper_rad:.2f}",
            "Joint states must be in radians; check the node that publishes them, and the calibration",
            where=joint.name,
            time_s=float(episode.state.times_s[sample]),
        )


def action_lag(episode: InspectedEpisode) -> Lag | None:
    """The lag at the best correlation of state and action velocities; None if they do not correlate."""
    state, action = episode.state, episode.action
    if action is None or len(state.times_s) < 3 or len(action.times_s) < 3:
        return None
    step_s = 1 / episode.rate_hz
    start_s = max(state.times_s[0], action.times_s[0])
    grid = np.arange(start_s, min(state.times_s[-1], action.times_s[-1]), step_s)
    window = round(LAG_WINDOW_S / step_s)
    if len(grid) < 3 * window:
        return None
    speeds = [
        np.nan_to_num(np.gradient(_interpolate(motion, grid), step_s, axis=0)) for motion in (state, action)
    ]
    speeds = [speed - speed.mean(axis=0) for speed in speeds]
    shifts = range(-window, window + 1)
    middle = slice(window, len(grid) - window)
    scores = [_correlation(speeds[0][middle], np.roll(speeds[1], by, axis=0)[middle]) for by in shifts]
    best = int(np.argmax(scores))
    return Lag(shifts[best] * step_s, scores[best]) if scores[best] >= MIN_LAG_CORRELATION else None


def check_action(episode: InspectedEpisode) -> Iterator[Finding]:
    if episode.action is None:
        yield Finding(
            "error",
            "action",
            "there are no actions",
            "Record joint_commands too, or name the topic that has the actions: --action TOPIC",
            where="joint_commands",
        )
        return
    if np.array_equal(episode.state.positions_rad, episode.action.positions_rad, equal_nan=True):
        yield Finding(
            "warning",
            "action",
            "action and state are the same numbers",
            "The action must be the command (the leader's pose), else the policy learns to stand still",
            where="all joints",
        )
        return
    if _reach(episode.action) < STATIC_RAD and _reach(episode.state) > MOVING_RAD:
        yield Finding(
            "error",
            "action",
            "the action is constant while the state moves",
            "Name the topic with the commands that the arm followed: --action TOPIC",
            where="all joints",
        )
        return
    if _is_noise(episode.state, episode.action):
        yield Finding(
            "warning",
            "action",
            "the action is the state with noise",
            "The action must be the command (the leader's pose), else the policy learns to stand still",
            where="all joints",
        )
        return
    lag = action_lag(episode)
    if lag is None:
        return
    if lag.seconds < 0:
        yield Finding(
            "error",
            "action lag",
            f"the state moves {-lag.seconds * 1e3:.0f} ms before the action",
            "Actions are stamped late or shifted by some frames: the policy would learn from future states",
            where="all joints",
        )
    elif lag.seconds > MAX_LAG_S:
        yield Finding(
            "warning",
            "action lag",
            f"the state follows the action after {lag.seconds * 1e3:.0f} ms",
            "The bus is slow or the servos' gain is low; commands of a policy take effect this late too",
            where="all joints",
        )


def check_static_joints(episodes: Sequence[InspectedEpisode], robot: RobotSpec) -> Iterator[Finding]:
    """Joints that move in no episode."""
    moving = [episode.state.positions_rad for episode in episodes if len(episode.state.positions_rad)]
    if not moving:
        return
    reach = np.max([positions.max(axis=0) for positions in moving], axis=0) - np.min(
        [positions.min(axis=0) for positions in moving], axis=0
    )
    for joint, extent in zip(robot.joints, reach):
        if extent < STATIC_RAD:
            yield Finding(
                "warning",
                "static joint",
                f"it moves {extent:.4f} rad in all episodes together",
                "Check whether its motor is connected and the task needs it; its statistics will have no spread",
                where=joint.name,
            )


def _reach(motion: JointTrack) -> float:
    """The largest range of a joint, rad; 0 without samples."""
    positions = motion.positions_rad
    return float(np.nan_to_num(np.ptp(positions, axis=0)).max()) if len(positions) else 0.0


def _is_noise(state: JointTrack, action: JointTrack) -> bool:
    """Whether the action differs from the state at the same time by noise alone, although the arm moves."""
    if len(action.times_s) < 3 or _reach(state) < MOVING_RAD:
        return False
    difference = np.nan_to_num(action.positions_rad - _interpolate(state, action.times_s))
    offset, noise = difference.mean(axis=0), difference.std(axis=0)
    if (noise > MAX_NOISE_RAD).any() or np.linalg.norm(offset) > np.linalg.norm(noise):
        return False  # a command that leads steady motion has a constant offset
    difference -= offset
    return _correlation(difference[1:], difference[:-1]) < MAX_NOISE_CORRELATION


def _correlation(one: FloatArray, other: FloatArray) -> float:
    norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / norm if norm else 0.0


def _interpolate(motion: JointTrack, grid: FloatArray) -> FloatArray:
    columns = [np.interp(grid, motion.times_s, column) for column in motion.positions_rad.T]
    return np.stack(columns, axis=1)
