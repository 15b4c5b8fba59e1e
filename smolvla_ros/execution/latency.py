# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of recent latencies, and a bound for the next one."""

from __future__ import annotations

import math
from bisect import insort
from collections import deque

WINDOW = 100  # at one chunk in half a second, those of the last minute


class LatencyWindow:
    """The newest latencies in seconds, and their distribution."""

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._newest: deque[float] = deque()
        self._ordered: list[float] = []

    def __len__(self) -> int:
        return len(self._newest)

    def add(self, latency_s: float) -> None:
        if len(self._newest) == self._size:
            self._ordered.remove(self._newest.popleft())
        self._newest.append(latency_s)
        insort(self._ordered, latency_s)

    def percentile(self, percent: float) -> float:
        """The `percent` percentile (nearest rank) in s; NaN without latencies."""
        if not self._ordered:
            return math.nan
        return self._ordered[max(math.ceil(len(self._ordered) * percent / 100.0) - 1, 0)]

    def upper_bound_s(self, probability: float) -> float:
        """A bound in s that the next latency exceeds with at most this probability; NaN without latencies.

        The next of n + 1 interchangeable latencies exceeds the k-th smallest of the other n with probability
        (n + 1 - k) / (n + 1), for any distribution. For a probability too small for n, an exponential tail through
        the median and the largest is assumed.
        """
        count = len(self._ordered)
        rank = math.ceil((count + 1) * (1.0 - probability))
        if rank <= count:
            return self.percentile(100.0 * rank / count)
        if count < 2:
            return self.percentile(100.0)
        median_s, largest_s = self.percentile(50.0), self._ordered[-1]
        scale_s = (largest_s - median_s) / math.log((count + 1) / 2.0)
        return largest_s - scale_s * math.log(probability * (count + 1))
