# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Items that are computed in a thread before they are used."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from smolvla_ros.dataset.read_ahead import read_ahead


def test_items_come_in_order_with_some_computed_before_they_are_used() -> None:
    third = threading.Event()

    def items() -> Iterator[int]:
        for item in range(20):
            if item == 2:
                third.set()
            yield item

    ahead = read_ahead(items(), 3)
    assert next(ahead) == 0
    assert third.wait(10.0)  # nobody has asked for it
    assert list(ahead) == list(range(1, 20))


def test_no_more_than_asked_for_are_computed() -> None:
    computed: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            computed.append(item)
            yield item

    ahead = read_ahead(items(), 3)
    next(ahead)
    ahead.close()  # waits for the thread
    assert len(computed) <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read_ahead")]


def test_an_error_is_raised_where_the_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("damaged")

    ahead = read_ahead(items(), 5)
    assert (next(ahead), next(ahead)) == (1, 2)
    with pytest.raises(ValueError, match="damaged"):
        next(ahead)
