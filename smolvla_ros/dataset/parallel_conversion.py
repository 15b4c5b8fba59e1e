# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a conversion in several processes, with a progress bar for each phase if stderr is a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import cv2
from tqdm import tqdm

from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.dataset.errors import DataError
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset


def convert(conversion: Conversion, append: bool, jobs: int) -> LeRobotDataset | None:
    """Convert with `jobs` processes; returns None if a conversion that was interrupted turns out to be complete.

    Raises DataError and CalibrationError.
    """
    if not conversion.prepare(append):
        return None
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder logs errors only
    try:
        # One OpenCV thread in each process, because there is a process for every core.
        with ProcessPoolExecutor(jobs, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
            _run("read", pool, conversion.align_bag, [(index,) for index in range(len(conversion.bags))])
            _run("encode", pool, conversion.encode_video, conversion.pending_videos())
    except BrokenProcessPool as error:
        raise DataError(str(error)) from error
    return conversion.write_dataset()


def _run(
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
