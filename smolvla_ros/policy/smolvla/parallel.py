# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs independent computations in parallel, each on a share of torch's threads.

Threads that share one product synchronise at its end, and a network has thousands of products, so another process on
one core delays all threads each time. With one computation for each thread they synchronise once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")
# Threads of a smaller network wait for each other more than they compute, and at the niceness of inference each wait
# lasts as long as another program wants the core.
ONE_THREAD_PARAMETERS = 50_000_000


@contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """Torch computes in one thread, if that is wanted; then again in as many as before."""
    threads = torch.get_num_threads()
    if wanted:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def parallel_map(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`[work(item) for item in items]`, on the CPU.

    As many items at a time as torch's threads can be divided among evenly, then the others. Raises what `work` raises.
    """
    threads = torch.get_num_threads()
    results: list[R] = []
    while left := items[len(results) :]:
        count = max(n for n in range(1, len(left) + 1) if threads % n == 0)
        results += _run_parallel(work, left[:count], threads) if count > 1 else [work(left[0])]
    return results


def _run_parallel(work: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    is_inference = torch.is_inference_mode_enabled()

    def in_own_thread(item: T) -> R:
        torch.set_num_threads(threads // len(items))  # of this thread
        with torch.inference_mode(is_inference):
            return work(item)

    try:
        with ThreadPoolExecutor(len(items)) as pool:
            return list(pool.map(in_own_thread, items))
    finally:
        torch.set_num_threads(threads)  # new threads start with the number that any thread has set last
