# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plan still to be executed, and the cursor that keeps any moment of it from being executed twice.

Time decides, never an index: a chunk enters where its times are, its past is dropped, and what is read at a
moment is interpolated, so control may run faster than the policy's actions. Fusing is left to `fusion.py`,
judging whether a chunk is fit at all to ChunkExecutor.
"""

from __future__ import annotations

import math

from smolvla_ros.chunk import ActionChunk, ChunkError
from smolvla_ros.execution.fusion import Fusion, replace
from smolvla_ros.execution.trajectory import FloatArray, Trajectory


class ActionQueue:
    """Chunks go in by `merge`, positions come out by `take`, each moment at most once and in order."""

    def __init__(self, fusion: Fusion) -> None:
        self.fusion = fusion  # may be changed at any time; the next merge uses it
        self._plan: Trajectory | None = None
        self._taken_ns: int | None = None  # the last moment that was executed
        self._step_duration_ns = 1
        self._sources: list[tuple[int, int]] = []  # chunk id, end_ns of the chunks that the plan is made of

    def merge(self, chunk: ActionChunk, now_ns: int) -> None:
        """Fuse a chunk into what is not executed yet; raises ChunkError when only its past is left."""
        from_ns = self._first_free_ns(now_ns)
        end_ns = min(chunk.end_ns, chunk.expires_ns) if chunk.expires_ns else chunk.end_ns
        if end_ns < max(from_ns, chunk.observation_stamp_ns):
            raise ChunkError("expired", f"chunk {chunk.chunk_id} ends before what is already executed")
        new = Trajectory.from_chunk(chunk)
        old = self._rest(now_ns)
        if old is None:
            self._plan = new.since(from_ns)
        else:
            self._plan = self.fusion(old, new, from_ns)
        if old is None or self.fusion is replace:
            self._sources = []
        self._sources.append((chunk.chunk_id, end_ns))
        self._step_duration_ns = chunk.step_duration_ns

    def take(self, now_ns: int) -> FloatArray | None:
        """Positions (joints,) due at `now_ns`; None when there are none or the moment was executed before."""
        if self._plan is None or now_ns < self._first_free_ns(now_ns):
            return None
        positions = self._plan.at(now_ns)
        if positions is not None:
            self._taken_ns = now_ns
        return positions

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
        return tuple(chunk_id for chunk_id, end_ns in self._sources if end_ns > now_ns)

    def clear(self) -> None:
        """Drop the plan. What was executed stays executed."""
        self._plan = None
        self._sources = []

    def _first_free_ns(self, now_ns: int) -> int:
        return now_ns if self._taken_ns is None else max(now_ns, self._taken_ns + 1)

    def _rest(self, now_ns: int) -> Trajectory | None:
        from_ns = self._first_free_ns(now_ns)
        if self._plan is None or self._plan.end_ns < from_ns:
            return None
        return self._plan.since(from_ns)
