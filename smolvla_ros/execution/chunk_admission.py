# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which chunks are accepted, and how many are rejected, by reason.

A chunk is accepted or rejected as a whole. `chunk.py` checks a chunk by itself; this file checks it against the present
state: no request, another task, an observation answered before, or one from before the policy's turn began: the arm was
armed, or a person gave control back.
"""

from __future__ import annotations

from collections import Counter

from smolvla_ros.chunk import MAX_TEXT, ActionChunk, ChunkError
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.observation import NANOSECONDS


class ChunkAdmission:
    """Checks chunks for one robot, and keeps the observation stamp of the newest one."""

    def __init__(self, joint_names: tuple[str, ...]) -> None:
        self._joint_names = joint_names
        self.accepted = 0
        self.rejected: Counter[str] = Counter()  # reason -> chunks
        self.observed_ns: int | None = None  # stamp of the newest accepted chunk's observation
        self.begin(0, 0)

    def begin(self, now_ns: int, last_request_id: int) -> None:
        """From now on, reject chunks observed before now or answering requests up to `last_request_id`."""
        self._begun_ns = now_ns
        self._last_request_id = last_request_id

    def start_over(self) -> None:
        """There is no plan: accept a first chunk of any observation."""
        self.observed_ns = None

    def check(
        self,
        chunk: ActionChunk,
        now_ns: int,
        refusal: str,
        task: str,
        config: ExecutorConfig,
        held_ns: int,
    ) -> None:
        """Raise ChunkError unless the chunk may be executed now.

        `refusal`: why none may be; empty if one may. `held_ns`: how long the arm was held since the observation.
        """
        name = f"chunk {chunk.chunk_id}"
        if refusal:
            raise ChunkError("not_asked", f"{name}: {refusal}")
        chunk.check(self._joint_names, now_ns, round(config.max_ahead_s * NANOSECONDS), held_ns)
        age_s = (now_ns - chunk.observation_stamp_ns) / NANOSECONDS
        if age_s > config.max_chunk_age_s:
            raise ChunkError(
                "expired",
                f"{name}: its observation is {age_s:.2f} s old, more than max_chunk_age_s={config.max_chunk_age_s}",
            )
        if not task or chunk.task != task:
            raise ChunkError(
                "wrong_task",
                f"{name} is for '{chunk.task[:MAX_TEXT]}', the present task is '{task[:MAX_TEXT]}'",
            )
        self._check_begun(chunk)
        if self.observed_ns is None or chunk.observation_stamp_ns > self.observed_ns:
            return  # by stamp, not by id: a restarted policy counts from 1 again
        if chunk.observation_stamp_ns == self.observed_ns:
            raise ChunkError("duplicate", f"{name} was inferred from the same observation as the last one")
        older_s = (self.observed_ns - chunk.observation_stamp_ns) / NANOSECONDS
        raise ChunkError(
            "out_of_order", f"{name}: its observation is {older_s:.3f} s older than the last one's"
        )

    def _check_begun(self, chunk: ActionChunk) -> None:
        """Raise ChunkError if the chunk was observed or requested before the policy's turn began."""
        if chunk.observation_stamp_ns < self._begun_ns:
            early_s = (self._begun_ns - chunk.observation_stamp_ns) / NANOSECONDS
            raise ChunkError(
                "before_arming",
                f"chunk {chunk.chunk_id}: its observation is from {early_s:.3f} s before the arming or hand-over",
            )
        if 0 < chunk.request_id <= self._last_request_id:
            raise ChunkError(
                "before_arming",
                f"chunk {chunk.chunk_id} answers request {chunk.request_id}, from before the arming or hand-over",
            )

    def accept(self, chunk: ActionChunk) -> None:
        """Count a chunk that was added to the plan."""
        self.accepted += 1
        self.observed_ns = chunk.observation_stamp_ns

    def reject(self, reason: str) -> None:
        """Count a rejected chunk."""
        self.rejected[reason] += 1
