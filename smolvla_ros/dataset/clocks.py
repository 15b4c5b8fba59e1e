# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the clocks of a recording agree: the publishers' clocks, in header stamps, and the recorder's, in arrivals.

The lag of a message is its arrival minus its stamp: its time on the way plus what the recorder's clock is ahead of the
publisher's. Messages without a header, as tasks, are put on the publishers' clock by the smallest lag of all topics,
which is nearest to the difference of the clocks alone. Topics whose stamps are their times of arrival, as of mapped
arrays without a header, count as topics without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import IntArray
from smolvla_ros.observation import NANOSECONDS

MAX_CHANGE_S = 1.0  # of the lag within a stream
MAX_DIFFERENCE_S = 0.5  # of the lags of two streams: no camera takes longer to deliver an image
LARGE_DIFFERENCE_S = 0.2  # as the age that the converter allows an image
USUAL_LAGS_S = (-0.02, 1.0)  # outside of these the recorder's clock is another one, such as in simulated time


@dataclass(frozen=True)
class ClockComparison:
    """The lags of the topics of a recording."""

    lags_ns: Mapping[str, int]  # stamped topic with messages -> median lag
    changes_s: Mapping[
        str, float
    ]  # topic -> range of its lags: large where a clock jumped or had another pace

    @classmethod
    def of(cls, times_ns: Mapping[str, tuple[IntArray, IntArray]]) -> ClockComparison:
        """Compare stamps and arrivals, topic -> ((messages,), (messages,)) ns."""
        lags = {topic: arrivals - stamps for topic, (stamps, arrivals) in times_ns.items()}
        lags = {topic: values for topic, values in lags.items() if values.any()}
        return cls(
            {topic: int(np.median(values)) for topic, values in lags.items()},
            {topic: float(np.ptp(values)) / NANOSECONDS for topic, values in lags.items()},
        )

    @property
    def offset_ns(self) -> int:
        """What the recorder's clock is ahead of the header stamps."""
        return min(self.lags_ns.values(), default=0)

    def ahead_ns(self, topic: str) -> int:
        """What the times of a topic are ahead of the header stamps: 0 for a stamped one."""
        return 0 if topic in self.lags_ns else self.offset_ns

    @property
    def difference_s(self) -> float:
        """Between the largest and the smallest lag."""
        return (max(self.lags_ns.values(), default=0) - self.offset_ns) / NANOSECONDS

    @property
    def disagreement(self) -> str:
        """Which topics are apart, for a message; empty if none are."""
        if self.difference_s <= LARGE_DIFFERENCE_S:
            return ""
        by_lag = sorted(self.lags_ns, key=lambda topic: self.lags_ns[topic])
        first, last = ((topic, self.lags_ns[topic] / NANOSECONDS) for topic in (by_lag[0], by_lag[-1]))
        return (
            f"the stamps of {last[0]} and {first[0]} are {self.difference_s:.2f} s apart by their times of arrival "
            f"({last[1]:.2f} s and {first[1]:.2f} s after the stamps)"
        )

    @property
    def recorder_difference(self) -> str:
        """How far the recorder's clock is from the stamps, for a message; empty if it is the same clock."""
        offset_s = self.offset_ns / NANOSECONDS
        if USUAL_LAGS_S[0] <= offset_s <= USUAL_LAGS_S[1]:
            return ""
        side = "ahead of" if offset_s > 0 else "behind"
        return f"the recorder's clock is {abs(offset_s):.2f} s {side} the header stamps"
