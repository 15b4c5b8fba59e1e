# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Independent pieces of work at the same time, each on its share of torch's threads.

Threads that share one product wait for each other at its end, and a network has thousands of products: whoever else
wants one of the cores delays them all each time. With a piece of work each, threads meet once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def parallel_map(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `work` makes of each of `items`, in their order; computed on the CPU.

    As many items at a time as torch's threads can be shared out to evenly; the rest after them. Raises what `work`
    raises.
    """
    threads = torch.get_num_threads()
    results: list[R] = []
    while left := items[len(results) :]:
        count = max(n for n in range(1, len(left) + 1) if threads % n == 0)
        results += _at_once(work, left[:count], threads) if count > 1 else [work(left[0])]
    return results


def _at_once(work: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    is_inference = torch.is_inference_mode_enabled()

    def in_own_thread(item: T) -> R:
        torch.set_num_threads(threads // len(items))  # of this thread
        with torch.inference_mode(is_inference):
            return work(item)

    try:
        with ThreadPoolExecutor(len(items)) as pool:
            return list(pool.map(in_own_thread, items))
    finally:
        torch.set_num_threads(threads)  # a thread to come starts with the number that was set last, by any
