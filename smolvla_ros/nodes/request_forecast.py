# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the executor will ask for its next chunk (parameter `looks_ahead`)."""

from __future__ import annotations

from smolvla_ros.observation import NANOSECONDS

# The forecast may be wrong by this much, and a chunk older by it when it arrives than without looking ahead.
TOLERANCE_NS = NANOSECONDS // 10


class RequestForecast:
    """The next request, from the last two.

    The executor asks when a certain share of the newest chunk is left, so what stays the same from request to request
    is the time since the observation of the chunk before. Nothing is expected after a first request, after a request
    that came at another time than the one before, nor twice after one chunk. Times in ns, of the node's clock.
    """

    def __init__(self) -> None:
        self._observed_ns: int | None = None  # of the newest chunk
        self._leads_ns: tuple[int | None, int | None] = (
            None,
            None,
        )  # from observation to request: older, newer
        self._looked = False

    def requested(self, now_ns: int, is_first: bool) -> None:
        """A request has come; `is_first`: the executor has no plan."""
        if is_first or self._observed_ns is None:
            self._leads_ns = (None, None)
        else:
            self._leads_ns = (self._leads_ns[1], now_ns - self._observed_ns)
        self._observed_ns = None

    def answered(self, observation_ns: int) -> None:
        """A chunk of this observation was published."""
        self._observed_ns, self._looked = observation_ns, False

    def looked(self) -> None:
        """The images for the next request are being encoded; no other request is expected before a chunk."""
        self._looked = True

    def expected_ns(self) -> int | None:
        """When the next request will come; None: unknown, or looked for already."""
        older, newer = self._leads_ns
        if self._looked or self._observed_ns is None or older is None or newer is None:
            return None
        if abs(newer - older) > TOLERANCE_NS:
            return None
        return self._observed_ns + newer
