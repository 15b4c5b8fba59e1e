# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count the messages of a topic during an episode: rate, gaps, lost and dropped messages."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.dataset.stream_timing import gap_lengths_s, intervals_s
from smolvla_ros.wire import serialized_header_stamp_ns

PERIODIC_MESSAGES = 20  # with fewer there is no rate; commands and requests are not periodic
STAMP_END = 12  # bytes of a serialized message up to the end of its header's stamp
SLOWEST_S = 0.25  # period; slower topics are event-driven: chunks, states
SLOW_DISK = "the disk is too slow"
PERIODIC_SPREAD = 0.5  # interquartile range of the intervals by their median; above, a topic has no rate


@dataclass(frozen=True)
class StreamReport:
    """One topic of an episode. A topic that is not periodic has rate 0 and no gaps."""

    topic: str
    messages: int
    bytes: int
    rate_hz: float
    gaps: int  # intervals in which messages are missing
    missing: int  # messages in all gaps
    longest_gap_s: float
    lost: int  # by the middleware, because this computer or its network was too slow
    dropped: int  # received but not written
    drop_cause: str  # why

    @property
    def is_complete(self) -> bool:
        return not (self.gaps or self.lost or self.dropped)

    def __str__(self) -> str:
        rate = f" at {self.rate_hz:.1f}/s" if self.rate_hz else ""
        faults = [
            text
            for count, text in (
                (self.gaps, f"{self.gaps} gaps ({self.missing} missing, longest {self.longest_gap_s:.2f} s)"),
                (self.lost, f"{self.lost} lost in transport"),
                (self.dropped, f"{self.dropped} dropped, {self.drop_cause}"),
            )
            if count
        ]
        return f"{self.topic}: {self.messages}{rate}" + "".join(f", {fault}" for fault in faults)


class StreamCounter:
    """Counts the messages of one topic.

    `stamped`: they begin with a std_msgs/Header, whose stamps are used for rate and gaps; else the times of arrival.
    """

    def __init__(self, topic: str, stamped: bool) -> None:
        self.topic = topic
        self.messages = 0
        self.lost = 0
        self.dropped = 0
        self._stamped = stamped
        self._bytes = 0
        self._times_ns = array("q")

    def add(self, receive_ns: int, data: bytes) -> None:
        self.messages += 1
        self._bytes += len(data)
        self._times_ns.append(serialized_header_stamp_ns(data) if self._stamped else receive_ns)

    def report(self, drop_cause: str = SLOW_DISK) -> StreamReport:
        steps_s = intervals_s(np.sort(np.frombuffer(self._times_ns, np.int64)))
        period_s = _period_s(steps_s)
        gaps_s = gap_lengths_s(steps_s, period_s)
        return StreamReport(
            self.topic,
            self.messages,
            self._bytes,
            1 / period_s if period_s else 0.0,
            len(gaps_s),
            int((np.round(gaps_s / period_s) - 1).sum()) if period_s else 0,
            float(gaps_s.max(initial=0.0)),
            self.lost,
            self.dropped,
            drop_cause,
        )


def _period_s(steps_s: FloatArray) -> float:
    """The median interval of a periodic stream; 0 if it is not periodic."""
    if len(steps_s) + 1 < PERIODIC_MESSAGES:
        return 0.0
    low, middle, high = np.percentile(steps_s, [25, 50, 75])
    is_periodic = 0 < middle <= SLOWEST_S and high - low <= PERIODIC_SPREAD * middle
    return float(middle) if is_periodic else 0.0
