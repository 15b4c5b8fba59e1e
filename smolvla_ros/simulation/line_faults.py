# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong on the emulated line: packets get lost, late, damaged, cut short or echoed, by chance.

A request that is lost or damaged is heard by no servo; an answer that is lost, late, damaged or cut short
concerns one. Damage is to one byte, which the protocol's checksum always shows; of damage to several it
misses one in 256, and no driver can help that.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from smolvla_ros.settings import check_settings, setting


@dataclass
class LineFaults:
    """Shares of packets, 0 .. 1, that something happens to; which ones follows from `seed`. May be changed any time."""

    lost: float = setting(0.0, "requests and answers that do not arrive", minimum=0.0, maximum=1.0)
    corrupt: float = setting(0.0, "requests and answers with a damaged byte", minimum=0.0, maximum=1.0)
    truncated: float = setting(0.0, "answers that lack their end", minimum=0.0, maximum=1.0)
    late: float = setting(0.0, "answers that come `late_s` later", minimum=0.0, maximum=1.0)
    echoed: float = setting(0.0, "requests that come back before the answer", minimum=0.0, maximum=1.0)
    late_s: float = setting(0.06, "how late a late answer is", minimum=0.0, maximum=10.0)
    seed: int = 0
    counts: Counter[str] = field(default_factory=Counter, repr=False)  # what has happened so far
    unanswered: Counter[int] = field(default_factory=Counter, repr=False)  # answers that failed, by servo id

    def __post_init__(self) -> None:
        check_settings(self)
        self._random = random.Random(self.seed)

    def request(self, ids: Iterable[int]) -> bool:
        """Whether the servos hear a request that those of `ids` would answer."""
        if not self._happens("lost", "lost request") and not self._happens("corrupt", "corrupt request"):
            return True
        self.unanswered.update(ids)
        return False

    def echo(self) -> bool:
        """Whether the request comes back."""
        return self._happens("echoed", "echo")

    def answer(self, packet: bytes) -> tuple[float, bytes]:
        """How many seconds late a status packet arrives, and what is left of it."""
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
