# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parallel computations: same results in the same order, and torch's number of threads is restored."""

from __future__ import annotations

import threading

import pytest
import torch

from smolvla_ros.policy.smolvla.parallel import parallel_map


@pytest.mark.parametrize(
    ("threads", "items", "each"),
    [
        (1, 2, [1, 1]),
        (2, 1, [2]),
        (2, 2, [1, 1]),
        (2, 3, [1, 1, 2]),
        (4, 3, [2, 2, 4]),
        (6, 3, [2, 2, 2]),
        (3, 2, [3, 3]),
    ],
)
def test_items_share_the_threads_evenly_and_the_rest_comes_after(
    threads: int, items: int, each: list[int]
) -> None:
    torch.set_num_threads(threads)
    assert parallel_map(lambda _: torch.get_num_threads(), range(items)) == each
    assert torch.get_num_threads() == threads


def test_items_are_worked_on_at_the_same_time() -> None:
    torch.set_num_threads(2)
    both = threading.Barrier(2, timeout=10)
    assert sorted(parallel_map(lambda _: both.wait(), range(2))) == [0, 1]


def test_results_are_in_the_order_of_the_items() -> None:
    torch.set_num_threads(2)
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(10)
        else:
            second_done.set()
        return item

    assert parallel_map(work, [0, 1]) == [0, 1]


@pytest.mark.parametrize("inference", [False, True])
def test_work_is_recorded_for_gradients_only_where_the_caller_is(inference: bool) -> None:
    torch.set_num_threads(2)
    with torch.inference_mode(inference):
        seen = parallel_map(lambda _: torch.is_inference_mode_enabled(), range(2))
    assert seen == [inference, inference]


def test_error_of_one_item_is_raised_and_torch_has_its_threads_back() -> None:
    torch.set_num_threads(2)

    def work(item: int) -> int:
        if item:
            raise ValueError(f"item {item} does not fit")
        return item

    with pytest.raises(ValueError, match="item 1 does not fit"):
        parallel_map(work, range(2))
    assert torch.get_num_threads() == 2


def test_thread_that_starts_later_has_all_of_torchs_threads() -> None:
    torch.set_num_threads(2)
    parallel_map(lambda item: item, range(2))
    seen: list[int] = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [2]
