# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The server of a policy: any number of clients, each request in a thread of its own (see service.py)."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError  # not the built-in one before Python 3.11
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from smolvla_ros.image import ImageError
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.preflight.preflight import Expectations
from smolvla_ros.remote import policy_pb2, protocol
from smolvla_ros.remote.access import AccessError, TokenCheck, server_credentials
from smolvla_ros.remote.request_queue import RefusalError
from smolvla_ros.remote.service import LONGEST_S, PolicyService, ServedModel, ServiceSettings, status_of
from smolvla_ros.settings import setting

SPARE_THREADS = 8  # for the health service, descriptions and refusals


@dataclass(frozen=True)
class ServerSettings(ServiceSettings):
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
    max_message_mb: float = setting(8.0, "largest request (MB)", bounds=(0.1, 100.0))
    max_connections: int = setting(100, "most connections", bounds=(1, 10_000))


class PolicyServer:
    """Serves `model` from `start` to `stop`; `digest` identifies it. Raises AccessError."""

    def __init__(
        self, model: ServedModel, expected: Expectations, digest: str, settings: ServerSettings
    ) -> None:
        self.service = PolicyService(model, expected, digest, settings)
        self._health = health.HealthServicer()
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
            ],
        )
        describe = grpc.unary_unary_rpc_method_handler(
            lambda _request, _context: self.service.description,
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
        self.service.start()
        self._server.start()
        for service in ("", protocol.SERVICE):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_s: float = 1.0) -> None:
        """Accept no more requests, and answer those that are being computed."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_s).wait()
        self.service.stop()

    def _infer(self, message: Any, context: Any) -> Any:
        arrived_s = time.monotonic()
        remaining_s = context.time_remaining()
        left_s = LONGEST_S if remaining_s is None else min(remaining_s, LONGEST_S)
        deadline_s = arrived_s + left_s
        try:
            outcome = self.service.submit(message, context.peer(), arrived_s, deadline_s)
            if not context.add_callback(outcome.cancel):  # the client is gone
                outcome.cancel()
            return outcome.result(deadline_s - time.monotonic())
        except (PolicyError, ImageError, RefusalError) as error:
            code, text, trailing = status_of(error)
            context.set_trailing_metadata(trailing)
            context.abort(code, text)
        except (FutureTimeoutError, CancelledError):
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no chunk after {left_s:.2f} s")
