# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An existing Ray cluster: the connection to it, and its processes as an executor (see worker_pool.py)."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

R = TypeVar("R")
AUTO = "auto"  # the cluster that this computer belongs to
CONNECT_S = 5.0


class ClusterError(RuntimeError):
    """There is no cluster, or it cannot be used; the message says why and names the remedy."""


@contextmanager
def ray_connection(address: str) -> Iterator[None]:
    """This process is connected to the cluster at AUTO or host:port; raises ClusterError."""
    try:
        import ray
    except ImportError as error:
        raise ClusterError(f"ray is not installed: pip install './smolvla_ros[cluster]' ({error})") from error
    if address != AUTO:
        _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"no Ray cluster can be used at '{address}': {error}; start one with: ray start --head"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raises ClusterError at once where Ray would try for a minute."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ClusterError(f"Ray address '{address}': expected {AUTO} or host:port, such as 10.0.0.2:6379")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address} ({error}); start one there with: ray start --head"
        ) from error


class RayExecutor(Executor):
    """Runs calls in the processes of the connected cluster, one on each of its CPU cores; repeats those of dead nodes.

    begin: is called before each call, in its process. They run in the working folder of this process. `shared`: paths
    that each node must have too. Raises ClusterError.
    """

    def __init__(self, begin: Callable[[], None], shared: Sequence[Path] = ()) -> None:
        import ray

        self._cancel = ray.cancel
        self._begin, self._folder = begin, os.getcwd()
        self._running: dict[Future[Any], Any] = {}
        self._check_nodes([str(path) for path in shared])
        self._call = ray.remote(_call).options(num_cpus=1)

    def submit(self, step: Callable[..., R], /, *arguments: Any, **named: Any) -> Future[R]:
        outcome: Future[R] = Future()
        outcome.set_running_or_notify_cancel()
        reference = self._call.remote(self._folder, self._begin, partial(step, *arguments, **named))
        self._running[outcome] = reference
        reference.future().add_done_callback(partial(self._settle, outcome))
        return outcome

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """`cancel_futures`: also those that run."""
        running = dict(self._running)
        if cancel_futures:
            for reference in running.values():
                self._cancel(reference, force=True)
        if wait:
            _wait(running)

    def _settle(self, outcome: Future[Any], done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            outcome.set_result(done.result())
        else:
            outcome.set_exception(_of_step(error))
        del self._running[outcome]

    def _check_nodes(self, shared: list[str]) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        check = ray.remote(_missing)
        for node in ray.nodes():
            if not node["Alive"] or not node["Resources"].get("CPU"):
                continue
            name = node["NodeManagerAddress"]
            there = check.options(
                num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            )
            try:
                missing = ray.get(there.remote(self._folder, shared))
            except ray.exceptions.RayError as error:
                raise ClusterError(
                    f"node {name} cannot run this program: {_of_step(error)}; install the same version of smolvla_ros "
                    "there, for the same Python"
                ) from error
            if missing:
                raise ClusterError(
                    f"node {name} does not have '{missing}': all nodes need this computer's working folder and data "
                    "under the same paths, on a shared file system"
                )


_wait = wait


def _call(folder: str, begin: Callable[[], None], call: Callable[[], R]) -> R:
    """A call, in a process of the cluster."""
    os.chdir(folder)
    begin()
    return call()


def _missing(folder: str, paths: list[str]) -> str:
    """The first of a folder and paths in it that is not there, in a process of the cluster."""
    return next((path for path in (folder, *paths) if not os.path.exists(os.path.join(folder, path))), "")


def _of_step(error: BaseException) -> BaseException:
    """The error that a step has raised, or a BrokenExecutor for one of the cluster."""
    cause = getattr(error, "cause", None)
    return (
        cause if isinstance(cause, Exception) else BrokenExecutor(str(error).strip() or type(error).__name__)
    )
