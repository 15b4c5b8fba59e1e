# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plan still to be executed, and the cursor that keeps any moment of it from being executed twice.

Time decides, never an index: a chunk enters where its times are, its past is dropped, and what is read at a
moment is interpolated, so control may run faster than the policy's actions. Only what was executed is past:
a chunk waits for as long as the arm has stood still since the policy looked. Fusing is left to `fusion.py`,
judging whether a chunk is fit at all to ChunkExecutor.
"""

from __future__ import annotations

import math
from collections import deque

from smolvla_ros.chunk import ActionChunk, ChunkError
from smolvla_ros.execution.fusion import Fusion, FusionInput, FusionSettings, replace
from smolvla_ros.execution.trajectory import FloatArray, Trajectory

MAX_CHUNKS = 50  # chunks remembered for fusing; ACT's ensemble has one for each of a chunk's actions
MAX_HOLDS = 100  # times of standing still remembered


class ActionQueue:
    """Chunks go in by `merge`, positions come out by `take`, each moment at most once and in order.

    Each control period either takes or holds.
    """

    def __init__(self, fusion: Fusion, settings: FusionSettings | None = None) -> None:
        self.fusion = fusion  # it and `settings` may be changed at any time; the next merge uses them
        self.settings = settings or FusionSettings()
        self._plan: Trajectory | None = None
        self._chunks: deque[tuple[int, Trajectory]] = deque(maxlen=MAX_CHUNKS)  # id; what the plan is made of
        self._next_fusion: Fusion | None = None  # joins the next chunk only
        self._taken_ns: int | None = None  # the last moment that was executed
        self._holds: deque[tuple[int, int]] = deque(maxlen=MAX_HOLDS)  # from, until; the last may go on
        self._holds_on = False
        self._step_duration_ns = 1

    def merge(self, chunk: ActionChunk, now_ns: int) -> None:
        """Fuse a chunk into what is not executed yet; raises ChunkError when only its past is left."""
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
        """The arm stands still from now until the next `take`."""
        if not self._holds_on:
            self._holds.append((now_ns, now_ns))
            self._holds_on = True

    def held_ns(self, since_ns: int, now_ns: int) -> int:
        """How long the arm has stood still since then; before anything was taken it always has."""
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
        """The plan that is not executed yet, its knots a step duration of the newest chunk apart."""
        rest = self._rest(now_ns)
        return None if rest is None else rest.every(self._step_duration_ns)

    def length(self, now_ns: int) -> int:
        """How many actions of the policy are still to come; a begun one counts."""
        return math.ceil(self.remaining_ns(now_ns) / self._step_duration_ns)

    def chunk_ids(self, now_ns: int) -> tuple[int, ...]:
        """The chunks that the remaining plan is made of, oldest first."""
        return tuple(chunk_id for chunk_id, chunk in self._chunks if chunk.end_ns > now_ns)

    def join_next_chunk_with(self, fusion: Fusion) -> None:
        """The plan is of another task from now on: it goes on until the next chunk, which `fusion` joins to it."""
        self._next_fusion = fusion

    def clear(self) -> None:
        """Drop the plan. What was executed stays executed."""
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
