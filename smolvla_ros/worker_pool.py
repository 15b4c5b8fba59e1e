# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes that share the work of a program, and end at once on Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from types import FrameType
from typing import Any, TypeVar

import cv2

R = TypeVar("R")


class WorkerPoolError(RuntimeError):
    """A process of a pool has ended before its work was done."""


@contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes for `submit_all`, in the main thread; raises WorkerPoolError when one of them is killed.

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
        raise WorkerPoolError(str(error)) from error
    finally:
        if signal.getsignal(signal.SIGINT) is _kill_workers:
            signal.signal(signal.SIGINT, before)


def submit_all(pool: Executor, step: Callable[..., R], calls: Sequence[tuple[Any, ...]]) -> list[Future[R]]:
    """Call `step` in the pool with each tuple of arguments; returns the results' futures in this order."""
    with interrupt_deferred():
        return [pool.submit(step, *call) for call in calls]


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
def interrupt_deferred() -> Iterator[None]:
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
