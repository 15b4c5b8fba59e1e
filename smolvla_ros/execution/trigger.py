# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the next chunk is asked for, and how long answers take.

One request is in flight at a time: a slow policy is not buried in requests, and a silent one is asked again
after a time-out. It decides from times alone and knows neither the plan's contents nor who answers.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from smolvla_ros.chunk import ActionChunk, RequestReason
from smolvla_ros.observation import NANOSECONDS

WINDOW = 50  # latencies remembered; at one chunk in half a second, those of the last half minute


class LatencyWindow:
    """The newest latencies in seconds, and their percentiles."""

    def __init__(self, size: int = WINDOW) -> None:
        self._latencies_s: deque[float] = deque(maxlen=size)

    def add(self, latency_s: float) -> None:
        self._latencies_s.append(latency_s)

    def percentile(self, percent: float) -> float:
        """The smallest latency that at least `percent` of them do not exceed; NaN while there is none."""
        if not self._latencies_s:
            return math.nan
        ordered = sorted(self._latencies_s)
        return ordered[max(math.ceil(len(ordered) * percent / 100.0) - 1, 0)]


@dataclass(frozen=True)
class _Asked:
    request_id: int
    stamp_ns: int
    reason: RequestReason


class ChunkTrigger:
    """Asks when at most `threshold` of a chunk is left: 1 is all the time, 0 when all is used up."""

    def __init__(self, threshold: float, timeout_s: float) -> None:
        self.threshold = threshold
        self.timeout_s = timeout_s
        self.latencies = LatencyWindow()  # from a request to its chunk, cold starts left out
        self._count = 0
        self.start_over()

    def start_over(self) -> None:
        """Nothing is in flight and there is no plan: the next request is a START."""
        self._first_reason: RequestReason | None = RequestReason.START
        self._asked: _Asked | None = None
        self._chunk_duration_ns = 1

    def change_task(self) -> None:
        """What is in flight answers a task that is no more; ask for the new one at once."""
        if self._first_reason is not RequestReason.START:
            self._first_reason = RequestReason.TASK_CHANGE
        self._asked = None

    @property
    def waits_for_first(self) -> bool:
        """Whether no chunk came since the start or the change of task."""
        return self._first_reason is not None

    @property
    def expected_delay_s(self) -> float:
        """What nearly every answer stays below (95th percentile); 0 before anything was measured."""
        delay_s = self.latencies.percentile(95.0)
        return 0.0 if math.isnan(delay_s) else delay_s

    def due(self, now_ns: int, remaining_ns: int) -> RequestReason | None:
        """Why to ask now, or None when not to."""
        if self._asked is not None and now_ns - self._asked.stamp_ns < self.timeout_s * NANOSECONDS:
            return None
        if self._first_reason is not None:
            return self._first_reason
        if remaining_ns <= 0:
            return RequestReason.EMPTY
        if remaining_ns <= self.threshold * self._chunk_duration_ns:
            return RequestReason.THRESHOLD
        return None

    def ask(self, now_ns: int, reason: RequestReason) -> int:
        """A request goes out; returns its id, counted from 1."""
        self._count += 1
        self._asked = _Asked(self._count, now_ns, reason)
        return self._count

    def accept(self, chunk: ActionChunk, now_ns: int) -> None:
        """A chunk was taken into the plan, be it asked for or not."""
        asked = self._asked
        if asked is not None and chunk.request_id == asked.request_id:
            self._asked = None
            # the first inference may load and compile: it says nothing about the next ones
            if asked.reason is not RequestReason.START:
                self.latencies.add((now_ns - asked.stamp_ns) / NANOSECONDS)
        self._first_reason = None
        self._chunk_duration_ns = chunk.duration_ns

    def reject(self, request_id: int) -> None:
        """The answer to this request cannot be used; if it is the one in flight, ask again."""
        if self._asked is not None and self._asked.request_id == request_id:
            self._asked = None
