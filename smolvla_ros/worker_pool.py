# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes that share the work of a program, here or in a Ray cluster, and end at once on Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import cv2

from smolvla_ros.ray_cluster import RayExecutor, ray_connection

R = TypeVar("R")
Pool = Executor


class WorkerPoolError(RuntimeError):
    """A process of a pool has ended before its work was done."""


@contextmanager
def worker_pool(jobs: int, ray: str = "", shared: Sequence[Path] = ()) -> Iterator[Executor]:
    """`jobs` processes for `submit_all`, or those of the Ray cluster at an address; in the main thread.

    shared: what all nodes of the cluster must have. Raises WorkerPoolError when a process is killed, ClusterError. An
    error cancels the calls that have not started. Ctrl-C kills the processes at once and raises KeyboardInterrupt, a
    second one ends the program. So steps must leave either a whole file or none.
    """
    try:
        with _cluster(ray, shared) if ray else _processes(jobs) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenExecutor as error:
        raise WorkerPoolError(str(error)) from error


@contextmanager
def _cluster(address: str, shared: Sequence[Path]) -> Iterator[Executor]:
    with ray_connection(address), RayExecutor(_begin_step, shared) as pool:
        yield pool


@contextmanager
def _processes(jobs: int) -> Iterator[Executor]:
    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:  # it is ignored where a script has started the program in the background
        signal.signal(signal.SIGINT, _kill_workers)
    try:
        with ProcessPoolExecutor(jobs, get_context("spawn"), _begin_worker) as pool:
            yield pool
    finally:
        if signal.getsignal(signal.SIGINT) is _kill_workers:
            signal.signal(signal.SIGINT, before)


def submit_all(pool: Executor, step: Callable[..., R], calls: Sequence[tuple[Any, ...]]) -> list[Future[R]]:
    """Call `step` in the pool with each tuple of arguments; returns the results' futures in this order."""
    with interrupt_deferred():
        return [pool.submit(step, *call) for call in calls]


def begun(pool: Executor, step: Callable[[], R]) -> Callable[[], R]:
    """Start a step in the pool; returns what waits for its end and returns its result or raises its error."""
    [future] = submit_all(pool, step, [()])
    return future.result


def _begin_step() -> None:
    cv2.setNumThreads(1)  # because there is a process for every core
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder logs errors only


def _begin_worker() -> None:
    _begin_step()
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
