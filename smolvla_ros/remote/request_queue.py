# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which requests the model computes next: bounded, fair between clients, and none that would come too late.

One request of each client waits, so that the order of arrival is a turn for each: a client that asks all the time waits
for every other one. Times are monotonic seconds, given by the caller, who also guards against several threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
MEASURED = 20  # computations that the expected duration is taken from


class RefusalError(Exception):
    """A request is not computed; the message says why."""


class BusyError(RefusalError):
    """Others wait; ask again after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooLateError(RefusalError):
    """The answer would come after the deadline."""


class ReplacedError(RefusalError):
    """A newer request of the same client has come."""


class FailedError(RefusalError):
    """The model has failed."""


@dataclass(eq=False)
class Waiting(Generic[T, R]):
    """A request that waits for its turn; `outcome` receives the answer or a RefusalError."""

    client: str
    content: T
    arrived_s: float
    deadline_s: float
    group: Hashable = None  # only requests of one group are computed together
    outcome: Future[R] = field(default_factory=Future)

    def refuse(self, error: RefusalError) -> None:
        """Answer by this error, unless nobody waits any more."""
        if self.outcome.set_running_or_notify_cancel():
            self.outcome.set_exception(error)


class RequestQueue(Generic[T, R]):
    """At most `max_waiting` requests; `take` gives the next ones, up to one of `together` of them."""

    def __init__(self, max_waiting: int, together: tuple[int, ...] = (1,)) -> None:
        self.max_waiting = max_waiting
        self.together = tuple(sorted(together))
        self._waiting: list[Waiting[T, R]] = []
        self._durations_s: deque[float] = deque(maxlen=MEASURED)
        self._computing = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def expected_s(self) -> float:
        """How long a computation takes at least: the shortest of the last ones; 0 before the first."""
        return min(self._durations_s, default=0.0)

    def add(self, request: Waiting[T, R], now_s: float) -> None:
        """Let a request wait, at the place of one of the same client, if there is one; raises BusyError."""
        self._waiting = [each for each in self._waiting if not each.outcome.cancelled()]
        for place, older in enumerate(self._waiting):
            if older.client == request.client:
                older.refuse(ReplacedError("a newer request of the same client has come"))
                self._waiting[place] = request
                return
        ahead = len(self._waiting)
        wait_s = (ahead // self.together[-1] + self._computing) * self.expected_s
        if ahead >= self.max_waiting:
            raise BusyError(f"{ahead} requests wait, which is the most", self.expected_s)
        if ahead and now_s + wait_s + self.expected_s > request.deadline_s:
            raise BusyError(f"{ahead} requests wait, so the answer would come after {wait_s:.2f} s", wait_s)
        self._waiting.append(request)

    def take(self, now_s: float) -> list[Waiting[T, R]]:
        """The requests to compute now, which are no longer waiting; those that would come too late are refused."""
        for each in [each for each in self._waiting if each.deadline_s < now_s + self.expected_s]:
            self._waiting.remove(each)
            left_s = each.deadline_s - now_s
            each.refuse(TooLateError(f"a chunk takes {self.expected_s:.2f} s, {left_s:.2f} s are left"))
            if self._durations_s:  # so that the next computation is measured after a slow time
                self._durations_s.popleft()
        self._waiting = [each for each in self._waiting if not each.outcome.cancelled()]
        if not self._waiting:
            return []
        same = [each for each in self._waiting if each.group == self._waiting[0].group]
        count = max(number for number in (1, *self.together) if number <= len(same))
        taken = [each for each in same[:count] if each.outcome.set_running_or_notify_cancel()]
        self._waiting = [each for each in self._waiting if each not in same[:count]]
        self._computing = bool(taken)
        return taken

    def computed(self, duration_s: float) -> None:
        """The taken requests are computed."""
        self._computing = False
        self._durations_s.append(duration_s)
