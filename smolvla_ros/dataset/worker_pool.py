# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run steps in several processes, with a progress bar if stderr is a terminal."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from types import FrameType
from typing import Any, cast

import cv2
from tqdm import tqdm

from smolvla_ros.dataset.errors import DataError


@contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes for `run_all`, in the main thread; raises DataError when one of them is killed.

    Ctrl-C kills the processes at once and raises KeyboardInterrupt, a second one ends the program. So steps must leave
    either a whole file or none.
    """
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder logs errors only
    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:  # it is ignored where a script has started the program in the background
        signal.signal(signal.SIGINT, _kill_workers)
    try:
        with ProcessPoolExecutor(jobs, get_context("spawn"), _begin_worker) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise DataError(str(error)) from error
    finally:
        if signal.getsignal(signal.SIGINT) is _kill_workers:
            signal.signal(signal.SIGINT, before)


def run_all(
    phase: str,
    pool: ProcessPoolExecutor,
    step: Callable[..., None],
    calls: Sequence[tuple[Any, ...]],
    strict: bool = True,
) -> list[DataError | None]:
    """Call `step` with each tuple of arguments; returns their DataErrors, in the order of the calls.

    Other errors, and if `strict` all, are raised: the first one cancels the calls that have not started.
    """
    with _interrupt_deferred():
        futures: list[Future[None]] = [pool.submit(step, *call) for call in calls]
    try:
        # disable=None: no bar where stderr is not a terminal
        for future in tqdm(as_completed(futures), phase, len(futures), disable=None):
            error = future.exception()
            if error is not None and (strict or not isinstance(error, DataError)):
                raise error
        return [cast(DataError | None, future.exception()) for future in futures]
    finally:
        for future in futures:
            future.cancel()


def _begin_worker() -> None:
    cv2.setNumThreads(1)  # because there is a process for every core
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the program is killed; else it would wait for its next call forever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _kill_workers(_number: int, _frame: FrameType | None) -> None:
    """Handle Ctrl-C."""
    for process in active_children():
        process.kill()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


@contextmanager
def _interrupt_deferred() -> Iterator[None]:
    """Ctrl-C takes effect after this context, in which processes are started: then all of them can be killed.

    The processes inherit that the signal is blocked. A terminal sends it to them too, and one that ended by itself
    could hold a lock for which the others, and the program, would wait forever.
    """
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
        if received:
            signal.raise_signal(signal.SIGINT)
