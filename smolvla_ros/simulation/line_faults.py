# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random faults of the emulated bus: packets are lost, late, damaged, truncated or echoed.

A lost or damaged request reaches no servo. Damage is to one byte, which the checksum always detects; with several
damaged bytes it misses one in 256, which no driver can detect.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from smolvla_ros.settings import check_settings, setting


@dataclass
class LineFaults:
    """Shares of packets, 0 .. 1, with each fault; `seed` decides which ones. May be changed at any time."""

    lost: float = setting(0.0, "requests and answers that do not arrive", bounds=(0.0, 1.0))
    corrupt: float = setting(0.0, "requests and answers with a damaged byte", bounds=(0.0, 1.0))
    truncated: float = setting(0.0, "answers that lack their end", bounds=(0.0, 1.0))
    late: float = setting(0.0, "answers that come `late_s` later", bounds=(0.0, 1.0))
    echoed: float = setting(0.0, "requests that come back before the answer", bounds=(0.0, 1.0))
    late_s: float = setting(0.06, "how late a late answer is", bounds=(0.0, 10.0))
    seed: int = 0
    counts: Counter[str] = field(default_factory=Counter, repr=False)  # faults so far
    unanswered: Counter[int] = field(default_factory=Counter, repr=False)  # answers that failed, by servo id

    def __post_init__(self) -> None:
        check_settings(self)
        self._random = random.Random(self.seed)

    def request(self, ids: Iterable[int]) -> bool:
        """Whether a request, which the servos `ids` would answer, arrives."""
        if not self._happens("lost", "lost request") and not self._happens("corrupt", "corrupt request"):
            return True
        self.unanswered.update(ids)
        return False

    def echo(self) -> bool:
        """Whether the request is echoed."""
        return self._happens("echoed", "echo")

    def answer(self, packet: bytes) -> tuple[float, bytes]:
        """The delay of a status packet in s, and the bytes that arrive."""
        late_s, arrived = self._disturb(packet)
        if late_s or arrived != packet:
            self.unanswered[packet[2]] += 1
        return late_s, arrived

    def _disturb(self, packet: bytes) -> tuple[float, bytes]:
        if self._happens("lost", "lost answer"):
            return 0.0, b""
        if self._happens("corrupt", "corrupt answer"):
            at = self._random.randrange(len(packet))
            damaged = packet[at] ^ self._random.randrange(1, 256)
            return 0.0, packet[:at] + bytes((damaged,)) + packet[at + 1 :]
        if self._happens("truncated", "truncated answer"):
            return 0.0, packet[: self._random.randrange(1, len(packet))]
        if self._happens("late", "late answer"):
            return self.late_s, packet
        return 0.0, packet

    def _happens(self, fault: str, name: str) -> bool:
        share: float = getattr(self, fault)
        if not share or self._random.random() >= share:
            return False
        self.counts[name] += 1
        return True
