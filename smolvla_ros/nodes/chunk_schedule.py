# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When a chunk is due that nobody has asked for."""

from __future__ import annotations

import math
from typing import Any


class ChunkSchedule:
    """Chunks for the newest task, `rate_hz` times a second; none at 0 Hz or while the task is empty. Times in s."""

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.task = ""
        self._due_s = -math.inf
        self._inferred_from: Any = None  # what the last chunk was inferred from

    def wait_s(self, now_s: float, seen: Any, patience_s: float) -> float | None:
        """How long until the next chunk is due; None: for want of a task none is.

        `seen` is what it would be inferred from. While that is what the last one was inferred from, the next one waits
        `patience_s` longer for something new.
        """
        if not self.rate_hz or not self.task:
            return None
        return self._due_s - now_s + (patience_s if seen is self._inferred_from else 0.0)

    def chunk_started(self, begun_s: float, seen: Any) -> None:
        """A chunk was begun at `begun_s`. The next ones keep to the grid of times unless this one is a period late."""
        period_s = 1.0 / self.rate_hz
        next_s = self._due_s + period_s
        self._due_s = next_s if next_s > begun_s else begun_s + period_s
        self._inferred_from = seen
