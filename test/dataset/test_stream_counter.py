# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gaps are counted in periodic streams only."""

from __future__ import annotations

import struct

import pytest

from smolvla_ros.dataset.stream_counter import StreamCounter
from smolvla_ros.wire import serialized_header_stamp_ns

PERIOD_NS = 33_333_333


def stamped(stamp_ns: int, order: str = "<") -> bytes:
    sec, nanosec = divmod(stamp_ns, 10**9)
    return (b"\0\1\0\0" if order == "<" else bytes(4)) + struct.pack(f"{order}iI", sec, nanosec)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_stamp_of_a_serialized_message(order: str) -> None:
    assert serialized_header_stamp_ns(stamped(1_700_000_000_123_456_789, order)) == 1_700_000_000_123_456_789


def test_missing_messages_are_counted_by_their_stamps_not_by_their_arrival() -> None:
    counter = StreamCounter("/top", stamped=True)
    for index in range(100):
        if index not in (40, 60, 61):
            counter.add(index // 7 * 10**9, stamped(index * PERIOD_NS))  # they come in bursts
    report = counter.report()
    assert (report.messages, report.gaps, report.missing) == (97, 2, 3)
    assert report.rate_hz == pytest.approx(30.0, rel=1e-3)
    assert report.longest_gap_s == pytest.approx(0.1, rel=1e-3)
    assert not report.is_complete and "2 gaps (3 missing, longest 0.10 s)" in str(report)


def test_neither_jitter_nor_the_time_between_requests_is_a_gap() -> None:
    cameras, requests = StreamCounter("/top", stamped=False), StreamCounter("/request", stamped=False)
    for index in range(100):
        cameras.add(index * PERIOD_NS + index % 3 * 5_000_000, b"")
        requests.add(index**2 * PERIOD_NS, b"")
    assert cameras.report().is_complete and cameras.report().rate_hz > 25
    assert requests.report().is_complete and requests.report().rate_hz == 0


def test_chunks_that_come_twice_a_second_have_no_rate() -> None:
    chunks = StreamCounter("/action_chunk", stamped=False)
    for index in range(100):
        chunks.add((index + (index > 50)) * 500_000_000, b"")
    assert chunks.report().is_complete and chunks.report().rate_hz == 0


def test_lost_and_dropped_messages_are_reported() -> None:
    counter = StreamCounter("/top", stamped=False)
    counter.add(0, b"1234")
    counter.lost, counter.dropped = 2, 3
    assert str(counter.report()) == "/top: 1, 2 lost in transport, 3 dropped, the disk is too slow"
