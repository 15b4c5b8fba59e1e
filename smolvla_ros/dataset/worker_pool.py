# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run steps in several processes, with a progress bar if stderr is a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import cv2
from tqdm import tqdm

from smolvla_ros.dataset.errors import DataError


@contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes; raises DataError when one of them is killed."""
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder logs errors only
    try:
        # One OpenCV thread in each process, because there is a process for every core.
        with ProcessPoolExecutor(jobs, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise DataError(str(error)) from error


def run_all(
    phase: str, pool: ProcessPoolExecutor, step: Callable[..., None], calls: Sequence[tuple[Any, ...]]
) -> None:
    """Call `step` with each tuple of arguments; the first error cancels the calls that have not started."""
    futures: list[Future[None]] = [pool.submit(step, *call) for call in calls]
    try:
        # disable=None: no bar where stderr is not a terminal
        for future in tqdm(as_completed(futures), phase, len(futures), disable=None):
            future.result()
    finally:
        for future in futures:
            future.cancel()
