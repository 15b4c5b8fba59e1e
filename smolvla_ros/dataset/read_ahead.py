# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compute the next items of an iterator in a thread, while the caller uses those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def read_ahead(items: Iterator[T], count: int) -> Generator[T, None, None]:
    """The same items, of which up to `count` wait; worth it where an item is mostly work outside Python's lock.

    An error of `items` is raised where the item would have come. Close it to end the thread before all items are used.
    """
    end = object()
    pool = ThreadPoolExecutor(1, "read_ahead")
    try:
        waiting = deque(pool.submit(next, items, end) for _ in range(count))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield item  # type: ignore[misc]  # mypy does not know that only `end` is no T
    finally:
        pool.shutdown(cancel_futures=True)
