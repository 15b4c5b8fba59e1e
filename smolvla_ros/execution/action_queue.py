# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plan to execute; no moment of it is executed twice.

Actions are selected by time, not by index: a chunk is placed at its times, its past is dropped, and positions are
interpolated, so the control rate may be higher than the policy's. A chunk is delayed by the time for which the arm has
been held since the observation. Fusion is in `fusion.py`; ChunkExecutor checks the chunks.
"""

from __future__ import annotations

import math
from collections import deque

from smolvla_ros.arrays import FloatArray
from smolvla_ros.chunk import ActionChunk, ChunkError
from smolvla_ros.execution.fusion import Fusion, FusionInput, FusionSettings, replace
from smolvla_ros.execution.trajectory import Trajectory

MAX_CHUNKS = 50  # kept for fusion; ACT's ensemble has one for each action of a chunk
MAX_HOLDS = 100  # kept


class ActionQueue:
    """`merge` adds chunks, `take` returns positions, each moment at most once and in order.

    Call either `take` or `hold` in each control period.
    """

    def __init__(self, fusion: Fusion, settings: FusionSettings | None = None) -> None:
        self.fusion = fusion  # it and `settings` may be changed at any time; the next merge uses them
        self.settings = settings or FusionSettings()
        self._plan: Trajectory | None = None
        self._chunks: deque[tuple[int, Trajectory]] = deque(maxlen=MAX_CHUNKS)  # id, chunk: parts of the plan
        self._next_fusion: Fusion | None = None  # for the next chunk only
        self._taken_ns: int | None = None  # newest executed moment
        # from, until; the last may be in progress
        self._holds: deque[tuple[int, int]] = deque(maxlen=MAX_HOLDS)
        self._holds_on = False
        self._step_duration_ns = 1

    def merge(self, chunk: ActionChunk, now_ns: int) -> None:
        """Fuse a chunk into the remaining plan; raises ChunkError if the whole chunk is past."""
        from_ns = self._first_free_ns(now_ns)
        delay_ns = self.held_ns(chunk.observation_stamp_ns, now_ns)
        start_ns, end_ns = chunk.observation_stamp_ns + delay_ns, chunk.end_ns + delay_ns
        if chunk.expires_ns:
            end_ns = min(end_ns, chunk.expires_ns)
        if end_ns < max(from_ns, start_ns):
            raise ChunkError("expired", f"chunk {chunk.chunk_id} ends before what is already executed")
        new = Trajectory.from_chunk(chunk, delay_ns)
        old = self._rest(now_ns)
        fusion = self._next_fusion or self.fusion
        if old is None or self._next_fusion or fusion is replace:
            self._chunks.clear()
        while self._chunks and self._chunks[0][1].end_ns < from_ns:
            self._chunks.popleft()
        self._chunks.append((chunk.chunk_id, new))
        chunks = tuple(known for _, known in self._chunks)
        self._plan = (
            new.since(from_ns) if old is None else fusion(FusionInput(old, chunks, from_ns, self.settings))
        )
        self._next_fusion = None
        self._step_duration_ns = chunk.step_duration_ns

    def take(self, now_ns: int) -> FloatArray | None:
        """Positions (joints,) due at `now_ns`; None when there are none or the moment was executed before."""
        if self._plan is None or now_ns < self._first_free_ns(now_ns):
            return None
        positions = self._plan.at(now_ns)
        if positions is not None:
            self._taken_ns = now_ns
            if self._holds_on:
                self._holds[-1] = (self._holds[-1][0], now_ns)
                self._holds_on = False
        return positions

    def hold(self, now_ns: int) -> None:
        """The arm is held from now until the next `take`."""
        if not self._holds_on:
            self._holds.append((now_ns, now_ns))
            self._holds_on = True

    def held_ns(self, since_ns: int, now_ns: int) -> int:
        """For how long the arm has been held since then; before the first `take` all the time."""
        if self._taken_ns is None:
            return max(now_ns - since_ns, 0)
        holds = list(self._holds)
        if self._holds_on:
            holds[-1] = (holds[-1][0], now_ns)
        return sum(max(until_ns - max(from_ns, since_ns), 0) for from_ns, until_ns in holds)

    def remaining_ns(self, now_ns: int) -> int:
        """How long the plan lasts from `now_ns`; 0 when it is empty."""
        return 0 if self._plan is None else max(self._plan.end_ns - now_ns, 0)

    def remaining(self, now_ns: int) -> Trajectory | None:
        """The remaining plan, its knots a step duration of the newest chunk apart."""
        rest = self._rest(now_ns)
        return None if rest is None else rest.every(self._step_duration_ns)

    def length(self, now_ns: int) -> int:
        """How many actions of the policy remain, including the present one."""
        return math.ceil(self.remaining_ns(now_ns) / self._step_duration_ns)

    def chunk_ids(self, now_ns: int) -> tuple[int, ...]:
        """Ids of the chunks in the remaining plan, oldest first."""
        return tuple(chunk_id for chunk_id, chunk in self._chunks if chunk.end_ns > now_ns)

    def join_next_chunk_with(self, fusion: Fusion) -> None:
        """Continue the plan until the next chunk, which is fused by `fusion`: for a change of task."""
        self._next_fusion = fusion

    def clear(self) -> None:
        """Drop the plan. Executed moments stay executed."""
        self._plan = None
        self._chunks.clear()
        self._next_fusion = None

    def _first_free_ns(self, now_ns: int) -> int:
        return now_ns if self._taken_ns is None else max(now_ns, self._taken_ns + 1)

    def _rest(self, now_ns: int) -> Trajectory | None:
        from_ns = self._first_free_ns(now_ns)
        if self._plan is None or self._plan.end_ns < from_ns:
            return None
        return self._plan.since(from_ns)
