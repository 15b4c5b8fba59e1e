# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the next chunk is published without a request (parameter `chunk_rate_hz`)."""

from __future__ import annotations

import math
from typing import Any


class ChunkSchedule:
    """Chunks for `task`, `rate_hz` times a second; none at 0 Hz or while the task is empty. Times in s."""

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.task = ""
        self._due_s = -math.inf
        self._inferred_from: Any = None  # the messages of the last chunk

    def wait_s(self, now_s: float, messages: Any, max_age_s: float) -> float | None:
        """Time until the next chunk is due, negative if it is late; None: no chunk is due.

        messages: what it would be inferred from. If the last chunk was inferred from the same ones, the next chunk
        waits `max_age_s` longer for others.
        """
        if not self.rate_hz or not self.task:
            return None
        return self._due_s - now_s + (max_age_s if messages is self._inferred_from else 0.0)

    def chunk_started(self, started_s: float, messages: Any) -> None:
        """Inference has started at `started_s`. The next chunk is due one period after this one was;

        if this one was late by a period or more, one period after `started_s`.
        """
        period_s = 1.0 / self.rate_hz
        next_s = self._due_s + period_s
        self._due_s = next_s if next_s > started_s else started_s + period_s
        self._inferred_from = messages
