# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns of clients, deadlines and bounds of the queue of a policy server; no time passes by itself."""

from __future__ import annotations

from typing import Any

import pytest

from smolvla_ros.remote.request_queue import BusyError, ReplacedError, RequestQueue, TooLateError, Waiting

Queue = RequestQueue[str, str]


def request(client: str, deadline_s: float = 100.0, group: str = "") -> Waiting[str, str]:
    return Waiting(client, client, 0.0, deadline_s, group)


def measured(queue: Queue, *durations_s: float) -> Queue:
    for duration_s in durations_s:
        queue.computed(duration_s)
    return queue


def taken(queue: Queue, now_s: float = 0.0) -> list[str]:
    return [each.content for each in queue.take(now_s)]


def test_a_client_that_asks_all_the_time_waits_for_every_other_one() -> None:
    queue = Queue(8)
    order = []
    for client in ("greedy", "a", "b"):
        queue.add(request(client), 0.0)
    for _ in range(6):
        [client] = taken(queue)
        order.append(client)
        queue.computed(0.1)
        queue.add(request(client), 0.0)
        queue.add(request("greedy"), 0.0)  # and again, which gives it no other turn
    assert order == ["greedy", "a", "b"] * 2


def test_a_newer_request_of_a_client_replaces_the_one_that_waits() -> None:
    queue = Queue(8)
    older, newer = request("a"), request("a")
    queue.add(older, 0.0)
    queue.add(newer, 0.0)
    assert isinstance(older.outcome.exception(0.0), ReplacedError)
    assert queue.take(0.0) == [newer] and not queue.take(0.0)


def test_the_queue_is_bounded_and_says_when_to_come_again() -> None:
    queue = measured(Queue(2), 0.5)
    queue.add(request("a"), 0.0)
    queue.add(request("b"), 0.0)
    with pytest.raises(BusyError, match="2 requests wait, which is the most") as caught:
        queue.add(request("c"), 0.0)
    assert caught.value.retry_after_s == 0.5
    assert len(queue) == 2


def test_who_would_wait_beyond_the_deadline_is_told_at_once() -> None:
    queue = measured(Queue(8), 0.5)
    queue.add(request("a"), 0.0)
    queue.add(request("b", deadline_s=1.0), 0.0)
    with pytest.raises(BusyError, match="would come after 1.00 s") as caught:
        queue.add(request("c", deadline_s=1.4), 0.0)
    assert caught.value.retry_after_s == 1.0


def test_what_would_come_too_late_is_not_computed() -> None:
    queue = measured(Queue(8), 0.5)
    late, early = request("late", deadline_s=10.4), request("early", deadline_s=10.6)
    queue.add(early, 9.0)
    queue.add(late, 9.0)
    assert queue.take(10.0) == [early]
    assert isinstance(late.outcome.exception(0.0), TooLateError)


def test_after_a_slow_time_a_computation_is_measured_again() -> None:
    queue = measured(Queue(8), 5.0, 5.0)
    for _ in range(2):
        queue.add(request("a", deadline_s=1.0), 0.0)
        assert not queue.take(0.0)
    queue.add(request("a", deadline_s=1.0), 0.0)
    assert taken(queue) == ["a"]


def test_requests_with_the_same_cameras_are_taken_together_in_sizes_that_pay() -> None:
    queue = Queue(16, together=(1, 2, 4))
    for client, group in zip("abcdefgh", "xyxxxxxx", strict=True):
        queue.add(request(client, group=group), 0.0)
    assert [taken(queue) for _ in range(5)] == [list("acde"), ["b"], list("fg"), ["h"], []]


def test_a_client_that_has_gone_takes_no_place() -> None:
    queue = Queue(1)
    gone: Any = request("a")
    queue.add(gone, 0.0)
    gone.outcome.cancel()
    queue.add(request("b"), 0.0)
    assert taken(queue) == ["b"]
