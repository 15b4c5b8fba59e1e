# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the next chunk is asked for.

One request is in flight at a time: a slow policy is not buried in requests, a silent one is asked again after a
time-out that grows, one that answers nonsense after a pause that grows. It decides from times and from how far the arm
has moved, and knows neither the plan's contents nor who answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smolvla_ros.chunk import ActionChunk, ChunkError, RequestReason
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.latency import LatencyWindow
from smolvla_ros.execution.trajectory import FloatArray
from smolvla_ros.observation import NANOSECONDS

MIN_MEASURED_LATENCIES = 5  # so many latencies say something of the next one
MAX_TIMEOUT_DOUBLINGS = 2  # of the time-out
FIRST_PAUSE_S = 0.1  # before asking again after two unusable answers in a row
# A request to a policy that has just appeared, or its answer, may be lost: the two ends of a topic do not discover each
# other at the same moment.
DISCOVERY_S = 1.0


@dataclass(frozen=True, eq=False)
class _PendingRequest:
    request_id: int
    stamp_ns: int
    is_cold: bool  # the answer may have to wait for a policy that loads or compiles
    positions_rad: FloatArray  # the arm's, as the policy is going to see it


class ChunkTrigger:
    """Asks for the next chunk when little of the newest one is left: how little is the threshold.

    trigger `threshold`: a share of the chunk, 1 is all the time. `auto`: as much as covers an answer in all but
    `starvation_probability` of the cases, by the latencies measured. `sync`: nothing, the arm waits for each chunk.

    An arm that stands still looks as it did at the last answer, so asking can wait until the rest of the plan only
    just covers an answer. LeRobot drops such observations altogether, and an arm whose unit is small starves.
    """

    def __init__(self, config: ExecutorConfig) -> None:
        self.config = config  # may be changed at any time
        self.latencies = LatencyWindow()  # from a request to its chunk, cold starts left out
        self.timeouts = 0  # requests that nobody answered in time
        self._count = 0
        self._answered_id = 0
        self._policy_discovered = True  # False while a policy has appeared and no chunk has come since
        self.start_over()

    def start_over(self) -> None:
        """Nothing is in flight and there is no plan: the next request is a START."""
        self._first_reason: RequestReason | None = RequestReason.START
        self._chunk_duration_ns = 0
        self._answered_rad: FloatArray | None = None  # where the arm was when the newest answer was asked for
        self._expect_late_answer()

    def change_task(self) -> None:
        """What is in flight answers a task that is no more; ask for the new one at once."""
        if self._first_reason is not RequestReason.START:
            self._first_reason = RequestReason.TASK_CHANGE
        self._wait_for_nothing()

    def policy_changed(self) -> None:
        """Somebody else listens from now on: what is in flight is asked again, soon again until a chunk comes."""
        self._expect_late_answer()
        self._policy_discovered = False

    def _expect_late_answer(self) -> None:
        self._wait_for_nothing()
        self._policy_cold = True

    def _wait_for_nothing(self) -> None:
        self._pending: _PendingRequest | None = None
        self._unanswered = self._refused = 0  # in a row
        self._paused_until_ns: int | None = None

    @property
    def requests(self) -> int:
        """How many chunks were asked for."""
        return self._count

    @property
    def chunk_duration_s(self) -> float:
        """How long the newest chunk was; 0 before the first."""
        return self._chunk_duration_ns / NANOSECONDS

    @property
    def waits_for_first_chunk(self) -> bool:
        """Whether no chunk came since the start or the change of task."""
        return self._first_reason is not None

    @property
    def expected_delay_s(self) -> float:
        """What nearly every answer stays below (95th percentile); 0 before anything was measured."""
        return self.latencies.percentile(95.0) if len(self.latencies) else 0.0

    @property
    def threshold(self) -> float:
        """Which share of the newest chunk is left when the next one is asked for."""
        if self.config.trigger == "sync":
            return 0.0
        cover_ns = self._cover_ns() if self.config.trigger == "auto" and self._chunk_duration_ns else None
        return self.config.threshold if cover_ns is None else min(cover_ns / self._chunk_duration_ns, 1.0)

    def reason_to_request(
        self, now_ns: int, remaining_ns: int, positions_rad: FloatArray
    ) -> RequestReason | None:
        """Why to ask now, or None when not to. `positions_rad`: where the joints are, (joints,)."""
        if self._pending is not None and now_ns - self._pending.stamp_ns < self._timeout_ns():
            return None
        if self._paused_until_ns is not None and now_ns < self._paused_until_ns:
            return None
        if self._first_reason is not None:
            return self._first_reason
        if remaining_ns <= 0:
            return RequestReason.EMPTY
        if remaining_ns > self.threshold * self._chunk_duration_ns:
            return None
        cover_ns = self._cover_ns()
        if cover_ns is None or remaining_ns <= cover_ns or self._has_moved(positions_rad):
            return RequestReason.THRESHOLD
        return None

    def add_request(self, now_ns: int, positions_rad: FloatArray) -> int:
        """A request goes out; returns its id, counted from 1."""
        if self._pending is not None:  # it timed out
            self._unanswered += 1
            self.timeouts += self._policy_discovered
            self._policy_cold = True
        self._count += 1
        self._pending = _PendingRequest(self._count, now_ns, self._policy_cold, positions_rad)
        return self._count

    def check(self, chunk: ActionChunk) -> None:
        """Raise ChunkError for an answer to no request of this executor, or a second one to a request.

        Unasked chunks (request_id 0) may be any number.
        """
        if chunk.request_id > self._count:
            raise ChunkError(
                "not_asked",
                f"chunk {chunk.chunk_id} answers request {chunk.request_id}, this executor has asked {self._count} "
                "times; does another executor run, or did one before it?",
            )
        if 0 < chunk.request_id <= self._answered_id:
            raise ChunkError(
                "duplicate",
                f"chunk {chunk.chunk_id} answers request {chunk.request_id}, as another one did before; do two "
                "policy nodes run?",
            )

    def accept(self, chunk: ActionChunk, now_ns: int) -> None:
        """A chunk was taken into the plan, be it asked for or not."""
        pending, self._answered_rad = self._pending, None
        self._policy_discovered = True
        if 0 < chunk.request_id <= self._count:
            self._answered_id = chunk.request_id
        if pending is not None and chunk.request_id == pending.request_id:
            if not pending.is_cold:
                self.latencies.add((now_ns - pending.stamp_ns) / NANOSECONDS)
            self._answered_rad = pending.positions_rad
            self._policy_cold = False
            self._wait_for_nothing()
        self._first_reason = None
        self._chunk_duration_ns = chunk.duration_ns

    def reject(self, request_id: int, now_ns: int) -> None:
        """The answer to this request cannot be used; if it is the one in flight, ask again, soon."""
        if self._pending is None or self._pending.request_id != request_id:
            return
        self._pending = None
        if self._refused:
            pause_s = min(FIRST_PAUSE_S * 2.0 ** (self._refused - 1), self.config.request_timeout_s)
            self._paused_until_ns = now_ns + round(pause_s * NANOSECONDS)
        self._refused += 1

    def _timeout_ns(self) -> float:
        patience_s = self.config.request_timeout_s
        if not self._policy_discovered:
            patience_s = min(patience_s, DISCOVERY_S)
        return patience_s * 2.0 ** min(self._unanswered, MAX_TIMEOUT_DOUBLINGS) * NANOSECONDS

    def _cover_ns(self) -> float | None:
        """How much plan covers an answer well enough; None while too little is known."""
        if len(self.latencies) < MIN_MEASURED_LATENCIES:
            return None
        period_s = 1.0 / self.config.rate_hz  # asked up to one late, and taken in up to one late
        cover_s = self.latencies.upper_bound_s(self.config.starvation_probability) + 2.0 * period_s
        return cover_s * NANOSECONDS

    def _has_moved(self, positions_rad: FloatArray) -> bool:
        if self._answered_rad is None:
            return True
        return bool((np.abs(positions_rad - self._answered_rad) >= self.config.similar_rad).any())
