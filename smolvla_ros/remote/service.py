# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What answers the requests of all clients, however they arrive: one model, one thread that computes.

A request is checked and its images are decoded in the thread that brings it; then it waits for its turn
(request_queue.py). Requests that wait together are computed together where that is faster, which is measured at the
start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import numpy as np

from smolvla_ros.arrays import Float32Array
from smolvla_ros.policy.chunk_inputs import ChunkInputs
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.preflight.preflight import Expectations
from smolvla_ros.remote import policy_pb2, protocol
from smolvla_ros.remote.access import RateLimit
from smolvla_ros.remote.request_queue import (
    BusyError,
    FailedError,
    RefusalError,
    ReplacedError,
    RequestQueue,
    TooLateError,
    Waiting,
)
from smolvla_ros.settings import Settings, setting

logger = logging.getLogger(__name__)

LONGEST_S = 60.0  # that a request without a deadline waits
GAIN = 0.9  # computing together must take less than this share of the time
MEASUREMENTS, MEASURED_S = 4, 1.0  # of each size: at most that many, in that time


class OtherCheckpointError(RefusalError):
    """The client expects a checkpoint that is not served."""


class TooManyError(RefusalError):
    """A host asks more often than it may."""


CODES = {
    BusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TooManyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TooLateError: grpc.StatusCode.DEADLINE_EXCEEDED,
    ReplacedError: grpc.StatusCode.ABORTED,
    FailedError: grpc.StatusCode.INTERNAL,
    OtherCheckpointError: grpc.StatusCode.FAILED_PRECONDITION,
}
Trailing = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ServiceSettings(Settings):
    """The limits of a service."""

    max_together: int = setting(
        8,
        "most requests that are computed together, where that is faster; 1: never, so that chunks are the local "
        "ones bit for bit",
        bounds=(1, 64),
    )
    max_waiting: int = setting(64, "most requests that wait; others are told to come again", bounds=(1, 1000))
    max_rate_hz: float = setting(
        200.0, "most requests a second from one host; others are refused", bounds=(1.0, 10_000.0)
    )


class ServedModel(Protocol):
    """Interface of a loaded checkpoint (see `SmolVLA`)."""

    def predict_chunks(self, requests: Sequence[ChunkInputs]) -> list[Float32Array]: ...


def sizes_that_pay(model: ServedModel, expected: Expectations, most: int) -> tuple[int, ...]:
    """How many requests are worth computing together: of 1, 2, 4 ... up to `most` those that are faster a chunk.

    After two sizes that are not, larger ones are not tried.
    """
    black = {key: np.zeros((480, 640, 3), np.uint8) for key in expected.image_keys}
    inputs = ChunkInputs(black, np.zeros(expected.state_dim), "measure")
    paying: dict[int, float] = {}
    for tried in range(most.bit_length()):
        size = 2**tried
        duration_s = _fastest_s(model, [inputs] * size) / size
        if not paying or duration_s < GAIN * min(paying.values()):
            paying[size] = duration_s
        elif tried > len(paying):  # the second one
            break
    measured = ", ".join(f"{duration_s * 1e3:.0f} ms ({size})" for size, duration_s in paying.items())
    logger.info("a chunk takes, by requests that are computed together: %s", measured)
    return tuple(paying)


def _fastest_s(model: ServedModel, requests: Sequence[ChunkInputs]) -> float:
    """The shortest of some computations; the first ones compile."""
    durations_s: list[float] = []
    while len(durations_s) < 2 or (len(durations_s) < MEASUREMENTS and sum(durations_s) < MEASURED_S):
        started_s = time.monotonic()
        model.predict_chunks(requests)
        durations_s.append(time.monotonic() - started_s)
    return min(durations_s)


def status_of(error: Exception) -> tuple[Any, str, Trailing]:
    """grpc.StatusCode, details and trailing metadata that a client gets for an error of `PolicyService.submit`."""
    if not isinstance(error, RefusalError):
        return grpc.StatusCode.INVALID_ARGUMENT, str(error), ()
    trailing: Trailing = ()
    if isinstance(error, BusyError):
        trailing = ((protocol.RETRY_AFTER, str(round(error.retry_after_s * 1e3))),)
    return CODES[type(error)], str(error), trailing


class PolicyService:
    """Computes chunks of `model` from `start` to `stop`; `digest` identifies it."""

    def __init__(
        self, model: ServedModel, expected: Expectations, digest: str, settings: ServiceSettings
    ) -> None:
        self._model, self._expected, self._digest = model, expected, digest
        self.description = protocol.description_message(expected, digest)
        self.queue: RequestQueue[ChunkInputs, Any] = RequestQueue(
            settings.max_waiting, sizes_that_pay(model, expected, settings.max_together)
        )
        self._rate = RateLimit(settings.max_rate_hz)
        self._changed = threading.Condition()
        self._stopping = False
        self._worker = threading.Thread(target=self._compute_until_stopped, name="inference", daemon=True)

    def start(self) -> None:
        self._worker.start()

    def stop(self) -> None:
        """Compute no more, after what is being computed."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._worker.join()

    def submit(self, message: Any, peer: str, arrived_s: float, deadline_s: float) -> Future[Any]:
        """Let an Observation wait for its turn; returns the future of its Chunk, which may be cancelled.

        peer: as grpc names it; times are monotonic. Raises PolicyError, ImageError or RefusalError, as the future does.
        """
        if not self._rate.admits(peer, arrived_s):
            raise TooManyError("too many requests from this host")
        if message.digest != self._digest:
            raise OtherCheckpointError(
                f"another checkpoint is served now, {self._expected.name}; set `server` again to use it"
            )
        inputs = protocol.inputs_from(message, self._expected)
        waiting: Waiting[ChunkInputs, Any] = Waiting(
            client=message.client[: protocol.SHORT],
            content=inputs,
            arrived_s=arrived_s,
            deadline_s=deadline_s,
            group=frozenset(inputs.images),
        )
        with self._changed:
            self.queue.add(waiting, time.monotonic())
            self._changed.notify()
        return waiting.outcome

    # The thread that computes.

    def _compute_until_stopped(self) -> None:
        while not self._stopping:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or len(self.queue))
                taken = self.queue.take(time.monotonic())
            if taken:
                self._compute(taken)

    def _compute(self, taken: list[Waiting[ChunkInputs, Any]]) -> None:
        started_s = time.monotonic()
        error: Exception | None = None
        chunks: list[Float32Array] = []
        try:
            chunks = self._model.predict_chunks([each.content for each in taken])
        except PolicyError as refused:
            error = refused
        except Exception:
            logger.exception("inference failed")
            error = FailedError("inference failed, see the log of the server")
        duration_s = time.monotonic() - started_s
        with self._changed:
            self.queue.computed(duration_s)
            waiting = len(self.queue)
        if error and len(taken) > 1:  # so that one request cannot spoil the others
            for each in taken:
                self._compute([each])
        elif error:
            taken[0].outcome.set_exception(error)
        for each, actions in zip(taken, chunks):
            each.outcome.set_result(
                policy_pb2.Chunk(
                    digest=self._digest,
                    actions=actions.ravel().tolist(),
                    waiting_s=started_s - each.arrived_s,
                    inference_s=duration_s,
                    together=len(taken),
                    waiting=waiting,
                )
            )
