# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A chunk of actions with times, and the request for one.

Action k of a chunk is due at `observation_stamp_ns + k * step_duration_ns`: the time of the observation plus k steps of
the training data. With times in place of indices the executor can drop late actions and fuse chunks of different ages.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np

from smolvla_ros.arrays import FloatArray, IntArray

MAX_POSITION_RAD = 1000.0  # larger values are servo ticks or damaged
MAX_TEXT = 200  # characters of received text that an error message repeats
# from one action to the next; longer ones would overflow the times of a trajectory
MAX_STEP_NS = 10_000_000_000
MAX_ACTIONS = 10_000  # a longer chunk would delay the control loop
MAX_LEAD_NS = 60_000_000_000  # from an observation to the start of the plan


class ChunkError(ValueError):
    """A chunk is rejected; `reason` is a short name, for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RequestError(ValueError):
    """A chunk request cannot be answered; the message names the contradiction."""


@dataclass(frozen=True, eq=False)
class ActionChunk:
    """Joint positions over time: `positions` has shape (steps, joints), rad, columns as `joint_names`."""

    positions: FloatArray
    joint_names: tuple[str, ...]
    observation_stamp_ns: int
    step_duration_ns: int
    chunk_id: int
    request_id: int
    task: str
    policy: str = ""
    inference_duration_s: float = 0.0
    expires_ns: int = 0  # 0: with its last action

    @property
    def times_ns(self) -> IntArray:
        """When each action is due, shape (steps,)."""
        steps = np.arange(len(self.positions), dtype=np.int64)
        return self.observation_stamp_ns + steps * self.step_duration_ns

    @property
    def end_ns(self) -> int:
        """When the last action is due."""
        return self.observation_stamp_ns + (len(self.positions) - 1) * self.step_duration_ns

    @property
    def duration_ns(self) -> int:
        """From the first action to the last one."""
        return self.end_ns - self.observation_stamp_ns

    def check(self, joint_names: tuple[str, ...], now_ns: int, max_ahead_ns: int, held_ns: int = 0) -> None:
        """Raise ChunkError unless the chunk can be executed by a robot with these joints now.

        held_ns: how long the robot was held since the observation; actions are delayed by it.
        """
        if self.joint_names != joint_names:
            raise ChunkError(
                "wrong_joints",
                f"chunk {self.chunk_id} moves {', '.join(self.joint_names)[:MAX_TEXT]}, this robot has "
                f"{', '.join(joint_names)}",
            )
        if self.positions.ndim != 2 or self.positions.shape[1] != len(joint_names) or len(self.positions) < 2:
            raise ChunkError(
                "wrong_width",
                f"chunk {self.chunk_id} has shape {self.positions.shape}, expected (2 or more, {len(joint_names)})",
            )
        if len(self.positions) > MAX_ACTIONS:
            raise ChunkError(
                "too_long",
                f"chunk {self.chunk_id} has {len(self.positions)} actions, more than {MAX_ACTIONS}",
            )
        if not np.isfinite(self.positions).all():
            step, joint = np.argwhere(~np.isfinite(self.positions))[0]
            raise ChunkError(
                "not_finite",
                f"chunk {self.chunk_id}: action {step} of {joint_names[joint]} is {self.positions[step, joint]}",
            )
        if (np.abs(self.positions) > MAX_POSITION_RAD).any():
            step, joint = np.argwhere(np.abs(self.positions) > MAX_POSITION_RAD)[0]
            raise ChunkError(
                "implausible",
                f"chunk {self.chunk_id}: action {step} of {joint_names[joint]} is "
                f"{self.positions[step, joint]:.4g} rad; are these radians?",
            )
        if not 0 < self.step_duration_ns <= MAX_STEP_NS:
            raise ChunkError(
                "step_duration",
                f"chunk {self.chunk_id}: step_duration is {self.step_duration_ns / 1e9} s, not above 0 and at most "
                f"{MAX_STEP_NS / 1e9:g} s",
            )
        if self.observation_stamp_ns > now_ns + max_ahead_ns:
            ahead_s = (self.observation_stamp_ns - now_ns) / 1e9
            raise ChunkError(
                "from_the_future", f"chunk {self.chunk_id}: its observation lies {ahead_s:.3f} s ahead"
            )
        last_ns = self.end_ns + held_ns
        if self.expires_ns:
            last_ns = min(last_ns, self.expires_ns)
        if last_ns <= now_ns:
            late_s = (now_ns - last_ns) / 1e9
            raise ChunkError("expired", f"chunk {self.chunk_id} expired {late_s:.3f} s ago")


class RequestReason(enum.IntEnum):
    """Why a chunk is requested; the values are those of ChunkRequest.msg.

    START must be answered with an observation as new as the request: the executor rejects observations from before the
    arm was armed.
    """

    THRESHOLD = 0
    EMPTY = 1
    TASK_CHANGE = 2
    START = 3


@dataclass(frozen=True, eq=False)
class ChunkRequest:
    """A request for the next chunk, with the remaining plan (for real-time chunking)."""

    stamp_ns: int
    request_id: int
    task: str
    reason: RequestReason
    queue_duration_s: float = 0.0
    joint_names: tuple[str, ...] = ()
    prefix: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))  # (steps, joints), rad
    prefix_stamp_ns: int = 0  # when the first action of `prefix` is due
    expected_delay_s: float = 0.0

    def prefix_on_grid(self, start_ns: int, step_duration_ns: int) -> FloatArray:
        """`prefix` at the times of another chunk: (rows, joints) rad, row k for `start_ns + k * step_duration_ns`.

        The plan has the same `step_duration_ns` and is interpolated linearly. Rows before its start (the observation is
        older than the request) repeat its first row; they are past when the chunk arrives. Rows end with the plan.
        Raises RequestError if the plan starts more than MAX_LEAD_NS later.
        """
        if not len(self.prefix):
            return self.prefix
        known_ns = np.arange(len(self.prefix), dtype=np.int64) * step_duration_ns
        first_ns = start_ns - self.prefix_stamp_ns
        if first_ns < -MAX_LEAD_NS:
            raise RequestError(
                f"request {self.request_id}: its plan starts {-first_ns / 1e9:.1f} s after the observation; do the "
                "clocks agree?"
            )
        due_ns = np.arange(first_ns, known_ns[-1] + 1, step_duration_ns, dtype=np.int64)
        return np.stack([np.interp(due_ns, known_ns, column) for column in self.prefix.T], axis=1)


def steps_until(effect_ns: int, start_ns: int, step_duration_ns: int) -> int:
    """How many actions of a chunk that starts at `start_ns` are due before `effect_ns`."""
    return max(-((start_ns - effect_ns) // step_duration_ns), 0)
