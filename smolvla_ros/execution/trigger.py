# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When to request the next chunk.

At most one request is pending, so a slow policy gets no further ones. Without an answer the request is repeated after a
growing time-out, after an unusable answer following a growing pause. Depends only on times and on how far the arm has
moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.chunk import ActionChunk, ChunkError, RequestReason
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.latency import LatencyWindow
from smolvla_ros.observation import NANOSECONDS

MIN_MEASURED_LATENCIES = 5  # fewer are too few for a bound
MAX_TIMEOUT_DOUBLINGS = 2  # of the time-out
FIRST_PAUSE_S = 0.1  # before asking again after two unusable answers in a row
# Time-out after a policy has appeared: its request or answer may be lost, because the two ends of a topic do not
# discover each other at the same moment.
DISCOVERY_S = 1.0


@dataclass(frozen=True, eq=False)
class _PendingRequest:
    request_id: int
    stamp_ns: int
    is_cold: bool  # the policy may still be loading or compiling
    positions_rad: FloatArray  # of the arm, about those in the observation


class ChunkTrigger:
    """Requests the next chunk when the remaining share of the newest one falls below the threshold.

    trigger `threshold`: that setting; 1 requests all the time. `auto`: a share that covers the latency in all but
    `starvation_probability` of the cases, from measured latencies. `sync`: 0, the arm waits for each chunk.

    While the arm has not moved since the last answer, observations are similar, so the request can wait until the plan
    only just covers the latency. LeRobot drops such observations, and with small units the arm starves.
    """

    def __init__(self, config: ExecutorConfig) -> None:
        self.config = config  # may be changed at any time
        self.latencies = LatencyWindow()  # from a request to its chunk, without cold starts
        self.timeouts = 0  # requests without an answer in time
        self._count = 0
        self._answered_id = 0
        self._policy_discovered = True  # False from when a policy appears until its first chunk
        self.start_over()

    def start_over(self) -> None:
        """No pending request and no plan: the next request is a START."""
        self._first_reason: RequestReason | None = RequestReason.START
        self._chunk_duration_ns = 0
        self._answered_rad: FloatArray | None = None  # pose at the request of the newest answer
        self._expect_late_answer()

    def change_task(self) -> None:
        """Drop the pending request for the old task; request for the new one at once."""
        if self._first_reason is not RequestReason.START:
            self._first_reason = RequestReason.TASK_CHANGE
        self._drop_pending()

    def policy_changed(self) -> None:
        """Another policy has subscribed: repeat the request at once, then after DISCOVERY_S until a chunk comes."""
        self._expect_late_answer()
        self._policy_discovered = False

    def _expect_late_answer(self) -> None:
        self._drop_pending()
        self._policy_cold = True

    def _drop_pending(self) -> None:
        self._pending: _PendingRequest | None = None
        self._unanswered = self._refused = 0  # in a row
        self._paused_until_ns: int | None = None

    @property
    def requests(self) -> int:
        """How many chunks were requested."""
        return self._count

    @property
    def chunk_duration_s(self) -> float:
        """How long the newest chunk was; 0 before the first."""
        return self._chunk_duration_ns / NANOSECONDS

    @property
    def waits_for_first_chunk(self) -> bool:
        """Whether no chunk came since the start or the last change of task."""
        return self._first_reason is not None

    @property
    def expected_delay_s(self) -> float:
        """95th percentile of the latencies; 0 without any."""
        return self.latencies.percentile(95.0) if len(self.latencies) else 0.0

    @property
    def threshold(self) -> float:
        """The remaining share of the newest chunk at which the next one is requested."""
        if self.config.trigger == "sync":
            return 0.0
        bound_ns = (
            self._latency_bound_ns() if self.config.trigger == "auto" and self._chunk_duration_ns else None
        )
        return self.config.threshold if bound_ns is None else min(bound_ns / self._chunk_duration_ns, 1.0)

    def reason_to_request(
        self, now_ns: int, remaining_ns: int, positions_rad: FloatArray
    ) -> RequestReason | None:
        """The reason to request a chunk now, or None. `positions_rad`: measured, (joints,)."""
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
        bound_ns = self._latency_bound_ns()
        if bound_ns is None or remaining_ns <= bound_ns or self._has_moved(positions_rad):
            return RequestReason.THRESHOLD
        return None

    def add_request(self, now_ns: int, positions_rad: FloatArray) -> int:
        """Register a request that is sent now; returns its id, counted from 1."""
        if self._pending is not None:  # it timed out
            self._unanswered += 1
            self.timeouts += self._policy_discovered
            self._policy_cold = True
        self._count += 1
        self._pending = _PendingRequest(self._count, now_ns, self._policy_cold, positions_rad)
        return self._count

    def check(self, chunk: ActionChunk) -> None:
        """Raise ChunkError for an answer to an unknown request, or a second answer to a request.

        Chunks without a request (request_id 0) are always accepted.
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
        """A chunk was added to the plan, with or without a request."""
        pending, self._answered_rad = self._pending, None
        self._policy_discovered = True
        if 0 < chunk.request_id <= self._count:
            self._answered_id = chunk.request_id
        if pending is not None and chunk.request_id == pending.request_id:
            if not pending.is_cold:
                self.latencies.add((now_ns - pending.stamp_ns) / NANOSECONDS)
            self._answered_rad = pending.positions_rad
            self._policy_cold = False
            self._drop_pending()
        self._first_reason = None
        self._chunk_duration_ns = chunk.duration_ns

    def reject(self, request_id: int, now_ns: int) -> None:
        """The answer to this request is unusable; if it is pending, request again after a pause."""
        if self._pending is None or self._pending.request_id != request_id:
            return
        self._pending = None
        if self._refused:
            pause_s = min(FIRST_PAUSE_S * 2.0 ** (self._refused - 1), self.config.request_timeout_s)
            self._paused_until_ns = now_ns + round(pause_s * NANOSECONDS)
        self._refused += 1

    def _timeout_ns(self) -> float:
        timeout_s = self.config.request_timeout_s
        if not self._policy_discovered:
            timeout_s = min(timeout_s, DISCOVERY_S)
        return timeout_s * 2.0 ** min(self._unanswered, MAX_TIMEOUT_DOUBLINGS) * NANOSECONDS

    def _latency_bound_ns(self) -> float | None:
        """How much plan covers the latency with the configured probability; None with too few latencies."""
        if len(self.latencies) < MIN_MEASURED_LATENCIES:
            return None
        period_s = 1.0 / self.config.rate_hz  # sending and receiving may each be late by up to one period
        bound_s = self.latencies.upper_bound_s(self.config.starvation_probability) + 2.0 * period_s
        return bound_s * NANOSECONDS

    def _has_moved(self, positions_rad: FloatArray) -> bool:
        if self._answered_rad is None:
            return True
        return bool((np.abs(positions_rad - self._answered_rad) >= self.config.similar_rad).any())
