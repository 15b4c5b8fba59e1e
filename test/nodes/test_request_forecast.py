# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A request is expected as long after the newest chunk's observation as the last requests came."""

from __future__ import annotations

from smolvla_ros.nodes.request_forecast import TOLERANCE_NS, RequestForecast

MS = 1_000_000


def after(*leads_ms: int) -> RequestForecast:
    """The forecast after requests that came so long after the observation, at 0, of the chunk before."""
    forecast = RequestForecast()
    forecast.requested(0, is_first=True)
    for lead_ms in leads_ms:
        forecast.answered(0)
        forecast.requested(lead_ms * MS, is_first=False)
    forecast.answered(5000 * MS)
    return forecast


def test_two_requests_at_equal_times_make_the_next_one_expected() -> None:
    assert after(500, 540).expected_ns() == 5540 * MS
    assert after(900, 500, 540).expected_ns() == 5540 * MS


def test_nothing_is_expected_from_one_request_or_from_unequal_ones() -> None:
    assert RequestForecast().expected_ns() is None
    assert after().expected_ns() is None
    assert after(500).expected_ns() is None
    assert after(500, 501 + TOLERANCE_NS // MS).expected_ns() is None


def test_one_request_is_expected_after_a_chunk_and_looked_for_once() -> None:
    forecast = after(500, 500)
    forecast.looked()
    assert forecast.expected_ns() is None
    forecast.requested(5500 * MS, is_first=False)
    assert forecast.expected_ns() is None  # it is being answered
    forecast.answered(6000 * MS)
    assert forecast.expected_ns() == 6500 * MS


def test_an_executor_that_starts_anew_is_not_expected_to_go_on() -> None:
    forecast = after(500, 500)
    forecast.requested(9000 * MS, is_first=True)
    forecast.answered(9100 * MS)
    assert forecast.expected_ns() is None
