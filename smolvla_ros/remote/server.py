# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The server of a policy: any number of clients, one model, one thread that computes.

A request is checked and its images are decoded in a thread of its own; then it waits for its turn (request_queue.py).
Requests that wait together are computed together where that is faster, which is measured at the start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError  # not the built-in one before Python 3.11
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from smolvla_ros.arrays import Float32Array
from smolvla_ros.image import ImageError
from smolvla_ros.policy.chunk_inputs import ChunkInputs
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.preflight.preflight import Expectations
from smolvla_ros.remote import policy_pb2, protocol
from smolvla_ros.remote.access import AccessError, RateLimit, TokenCheck, server_credentials
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
SPARE_THREADS = 8  # for the health service, descriptions and refusals
GAIN = 0.9  # computing together must take less than this share of the time
MEASUREMENTS, MEASURED_S = 4, 1.0  # of each size: at most that many, in that time
CODES = {
    BusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TooLateError: grpc.StatusCode.DEADLINE_EXCEEDED,
    ReplacedError: grpc.StatusCode.ABORTED,
    FailedError: grpc.StatusCode.INTERNAL,
}


@dataclass(frozen=True)
class ServerSettings(Settings):
    """The options of the policy server."""

    address: str = setting("127.0.0.1:50051", "host:port to listen at; port 0: any free one")
    credentials: str = setting(
        "",
        "folder with server.pem, server.key, and token or clients.pem; empty: for clients on this computer only",
    )
    insecure: bool = setting(
        False,
        "listen to other computers without credentials: anybody who reaches the address can use the policy, and "
        "images cross the network for all to see",
    )
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
    max_message_mb: float = setting(8.0, "largest request (MB)", bounds=(0.1, 100.0))
    max_connections: int = setting(100, "most connections", bounds=(1, 10_000))


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


class PolicyServer:
    """Serves `model` from `start` to `stop`; `digest` identifies it. Raises AccessError."""

    def __init__(
        self, model: ServedModel, expected: Expectations, digest: str, settings: ServerSettings
    ) -> None:
        self._model, self._expected, self._digest = model, expected, digest
        self._description = protocol.description_message(expected, digest)
        self._queue: RequestQueue[ChunkInputs, Any] = RequestQueue(
            settings.max_waiting, sizes_that_pay(model, expected, settings.max_together)
        )
        self._changed = threading.Condition()
        self._stopping = False
        self._rate = RateLimit(settings.max_rate_hz)
        self._health = health.HealthServicer()
        self._worker = threading.Thread(target=self._compute_until_stopped, name="inference")
        self._server, self.port = self._grpc_server(settings)

    def _grpc_server(self, settings: ServerSettings) -> tuple[Any, int]:
        credentials, token = server_credentials(settings.address, settings.credentials, settings.insecure)
        threads = settings.max_waiting + SPARE_THREADS
        server = grpc.server(
            ThreadPoolExecutor(threads, "request"),
            interceptors=[TokenCheck(token)] if token else [],
            maximum_concurrent_rpcs=threads,
            options=[
                ("grpc.so_reuseport", 0),  # a second server at one port must fail
                ("grpc.max_receive_message_length", round(settings.max_message_mb * 1e6)),
                ("grpc.max_allowed_incoming_connections", settings.max_connections),
                ("grpc.server_handshake_timeout_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 500),
                ("grpc.http2.max_ping_strikes", 0),
            ],
        )
        describe = grpc.unary_unary_rpc_method_handler(
            lambda _request, _context: self._description,
            policy_pb2.DescribeRequest.FromString,
            policy_pb2.Description.SerializeToString,
        )
        infer = grpc.unary_unary_rpc_method_handler(
            self._infer, policy_pb2.Observation.FromString, policy_pb2.Chunk.SerializeToString
        )
        handlers = {"Describe": describe, "Infer": infer}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(protocol.SERVICE, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        try:
            if credentials is None:
                return server, server.add_insecure_port(settings.address)
            return server, server.add_secure_port(settings.address, credentials)
        except RuntimeError as error:
            raise AccessError(f"address {settings.address}: {error}") from error

    def start(self) -> None:
        self._worker.start()
        self._server.start()
        for service in ("", protocol.SERVICE):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_s: float = 1.0) -> None:
        """Accept no more requests, and answer those that are being computed."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_s).wait()
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._worker.join()

    # The threads of requests.

    def _infer(self, message: Any, context: Any) -> Any:
        arrived_s = time.monotonic()
        if not self._rate.admits(context.peer(), arrived_s):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests from this host")
        if message.digest != self._digest:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"another checkpoint is served now, {self._expected.name}; set `server` again to use it",
            )
        try:
            inputs = protocol.inputs_from(message, self._expected)
        except (PolicyError, ImageError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        remaining_s = context.time_remaining()
        left_s = LONGEST_S if remaining_s is None else min(remaining_s, LONGEST_S)
        now_s = time.monotonic()
        waiting: Waiting[ChunkInputs, Any] = Waiting(
            client=message.client[: protocol.SHORT],
            content=inputs,
            arrived_s=arrived_s,
            deadline_s=now_s + left_s,
            group=frozenset(inputs.images),
        )
        try:
            with self._changed:
                self._queue.add(waiting, now_s)
                self._changed.notify()
            if not context.add_callback(waiting.outcome.cancel):  # the client is gone
                waiting.outcome.cancel()
            return waiting.outcome.result(left_s)
        except PolicyError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except RefusalError as error:
            if isinstance(error, BusyError):
                retry_after_ms = str(round(error.retry_after_s * 1e3))
                context.set_trailing_metadata(((protocol.RETRY_AFTER, retry_after_ms),))
            context.abort(CODES[type(error)], str(error))
        except (FutureTimeoutError, CancelledError):
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no chunk after {left_s:.2f} s")

    # The thread that computes.

    def _compute_until_stopped(self) -> None:
        while not self._stopping:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or len(self._queue))
                taken = self._queue.take(time.monotonic())
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
            self._queue.computed(duration_s)
            waiting = len(self._queue)
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
