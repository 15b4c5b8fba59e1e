# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What arrived on one topic during an episode: counts, rate, gaps, and what was lost on the way."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smolvla_ros.dataset.stream_timing import gap_lengths_s, intervals_s
from smolvla_ros.wire import serialized_header_stamp_ns

PERIODIC_MESSAGES = 20  # fewer tell no rate; commands and requests come when they come
STAMP_END = 12  # bytes of a serialized message up to the end of its header's stamp
SLOWEST_S = 0.25  # what comes more rarely comes upon something: chunks, states
PERIODIC_SPREAD = 0.5  # half of the intervals lie within this share of the median, else the topic has no rate


@dataclass(frozen=True)
class StreamReport:
    """One topic of an episode. Without a rate (0) the topic is not periodic, and gaps say nothing."""

    topic: str
    messages: int
    bytes: int
    rate_hz: float
    gaps: int  # times that messages are missing between two that came
    missing: int  # messages in all gaps
    longest_gap_s: float
    lost: int  # reported by the middleware: it came too fast for this machine or its network
    dropped: int  # taken in and not written: the disk was too slow

    @property
    def is_complete(self) -> bool:
        return not (self.gaps or self.lost or self.dropped)

    def __str__(self) -> str:
        rate = f" at {self.rate_hz:.1f}/s" if self.rate_hz else ""
        faults = [
            text
            for count, text in (
                (
                    self.gaps,
                    f"{self.gaps} gaps ({self.missing} missing, longest {self.longest_gap_s:.2f} s)",
                ),
                (self.lost, f"{self.lost} lost on the way"),
                (self.dropped, f"{self.dropped} dropped, the disk is too slow"),
            )
            if count
        ]
        return f"{self.topic}: {self.messages}{rate}" + "".join(f", {fault}" for fault in faults)


class StreamCounter:
    """Counts the messages of one topic.

    `stamped`: they begin with a std_msgs/Header, and gaps are sought among its stamps; else among the times of arrival.
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

    def report(self) -> StreamReport:
        steps_s = intervals_s(np.sort(np.frombuffer(self._times_ns, np.int64)))
        usual_s = _period_s(steps_s)
        wide = gap_lengths_s(steps_s, usual_s)
        return StreamReport(
            self.topic,
            self.messages,
            self._bytes,
            1 / usual_s if usual_s else 0.0,
            len(wide),
            int((np.round(wide / usual_s) - 1).sum()) if usual_s else 0,
            float(wide.max(initial=0.0)),
            self.lost,
            self.dropped,
        )


def _period_s(steps_s: npt.NDArray[np.float64]) -> float:
    """The usual interval of a periodic stream; 0 if it is none."""
    if len(steps_s) + 1 < PERIODIC_MESSAGES:
        return 0.0
    low, middle, high = np.percentile(steps_s, [25, 50, 75])
    is_periodic = 0 < middle <= SLOWEST_S and high - low <= PERIODIC_SPREAD * middle
    return float(middle) if is_periodic else 0.0
