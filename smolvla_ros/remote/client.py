# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint on another computer as a `ChunkModel`, for `RobotPolicy`: units, cameras and poses stay on the robot.

Several servers may be named. One is asked; when it does not answer, the next one is, and stays until it fails. gRPC
connects again by itself.
"""

from __future__ import annotations

import logging
import math
import socket
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import grpc

from smolvla_ros.arrays import Float32Array
from smolvla_ros.policy.policy import PolicyError, PolicyUnavailableError
from smolvla_ros.policy.preflight.preflight import Expectations
from smolvla_ros.remote import policy_pb2, protocol
from smolvla_ros.remote.access import AccessError, is_this_computer, open_channel

logger = logging.getLogger(__name__)

CONNECT_S = 2.0  # at the start, for a server to answer
RECONNECT_S = 2.0  # from the first call of a connection on, in which it is not given up: it may still be made
CLOSED = "Socket closed"  # gRPC's words when a server ends each connection at once
# No pings: servers that do not expect them, such as the proxies of Ray Serve, end the connection.
CHANNEL_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel would use the old one's connection
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),  # also the longest time of one attempt
    ("grpc.max_reconnect_backoff_ms", 500),
]


class _Server:
    """The connection to one server."""

    def __init__(self, address: str, credentials: str) -> None:
        self.address = address
        self.busy_until_s = 0.0  # monotonic
        self._open = partial(open_channel, address, credentials, CHANNEL_OPTIONS)
        self._channel = self._open()
        self._asked_s = math.inf  # monotonic; of the first call of this connection

    def describe(self, timeout_s: float) -> Any:
        """Its Description; raises grpc.RpcError."""
        call = self._channel.unary_unary(
            protocol.DESCRIBE, policy_pb2.DescribeRequest.SerializeToString, policy_pb2.Description.FromString
        )
        return call(policy_pb2.DescribeRequest(), timeout=timeout_s)

    def infer(self, request: Any, timeout_s: float) -> Any:
        """A Chunk; raises grpc.RpcError. After a time-out the next call connects anew, unless this connection is new:
        the line may have been cut for a while, and TCP sends again only seconds after it is back."""
        call = self._channel.unary_unary(
            protocol.INFER, policy_pb2.Observation.SerializeToString, policy_pb2.Chunk.FromString
        )
        self._asked_s = min(self._asked_s, time.monotonic())
        try:
            return call(request, timeout=timeout_s)
        except grpc.RpcError as error:
            is_late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if is_late and time.monotonic() - self._asked_s > RECONNECT_S:
                self._connect_anew()
            raise

    def _connect_anew(self) -> None:
        """The connection stays if the credentials cannot be read now."""
        try:
            channel = self._open()
        except AccessError as error:
            logger.warning("not connected anew: %s", error)
            return
        self._channel.close()
        self._channel, self._asked_s = channel, math.inf


class RemoteModel:
    """The checkpoint of the first of `servers` (host:port) that answers, which the others must serve too.

    credentials: as of `open_channel`. timeout_s: of a chunk; after it, another server is asked for the next one.
    Raises AccessError, MessageError, PolicyError if a server refuses this robot or its address is wrong, and
    PolicyUnavailableError if no server answers, which may come yet.
    """

    def __init__(self, servers: Sequence[str], credentials: str = "", timeout_s: float = 1.0) -> None:
        self.timeout_s = timeout_s
        self.noise_scale = 1.0  # of the noise that becomes a chunk
        self.last_answer: Any = None  # the newest Chunk message, with times
        self._client = uuid.uuid4().hex
        self._servers = deque(_Server(address, credentials) for address in servers)
        description = self._describe()
        self._digest = description.digest
        self.expected: Expectations = protocol.expectations_from(description)
        self.reset()

    @property
    def name(self) -> str:
        return self.expected.name

    @property
    def image_keys(self) -> tuple[str, ...]:
        return self.expected.image_keys

    @property
    def state_dim(self) -> int:
        return self.expected.state_dim

    @property
    def action_dim(self) -> int:
        return self.expected.action_dim

    def reset(self) -> None:
        """The noise of the next chunks is that of a newly loaded policy."""
        self._seed = 0

    def predict_chunk(
        self,
        images: Mapping[str, bytes],
        state: Float32Array,
        task: str,
        *,
        prefix: Float32Array | None = None,
        **guidance: Any,
    ) -> Float32Array:
        """As of `SmolVLA`; `images` by `sent_image`.

        Raises PolicyUnavailableError if no server answers in time, PolicyError if the inputs are refused.
        """
        request = protocol.observation_message(self._digest, self._client, images, state.tolist(), task)
        request.seed, request.noise_scale = self._seed, self.noise_scale
        if prefix is not None:
            rows = prefix[: self.expected.chunk_size]
            request.continuation.MergeFrom(
                policy_pb2.Continuation(positions=rows.ravel().tolist(), **guidance)
            )
        answer = self._ask(request)
        actions = protocol.actions_from(answer, self.expected)
        self._seed += 1
        self.last_answer = answer
        return actions

    def _ask(self, request: Any) -> Any:
        """The answer of the first server that gives one in time."""
        deadline_s = time.monotonic() + self.timeout_s
        problems = []
        for _ in range(len(self._servers)):
            server, now_s = self._servers[0], time.monotonic()
            if now_s >= deadline_s:
                break
            if now_s < server.busy_until_s:
                problems.append(f"{server.address} is busy")
            else:
                try:
                    return server.infer(request, deadline_s - now_s)
                except grpc.RpcError as error:
                    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                        raise PolicyError(f"server {server.address}: {error.details()}") from error
                    server.busy_until_s = time.monotonic() + _retry_after_s(error)
                    problems.append(f"{server.address}: {error.details()}")
            self._servers.rotate(-1)
        raise PolicyUnavailableError(f"no chunk from {'; '.join(problems)}")

    def _describe(self) -> Any:
        """The description of the first server that answers; that server is asked first."""
        deadline_s = time.monotonic() + CONNECT_S
        problems: dict[str, str] = {}
        while (left_s := deadline_s - time.monotonic()) > 0:
            server = self._servers[0]
            try:
                return server.describe(min(left_s, self.timeout_s))
            except grpc.RpcError as error:
                if reason := _refusal(server.address, error):
                    raise PolicyError(f"server {server.address}: {reason}") from error
                problems[server.address] = _cause(error)
            self._servers.rotate(-1)
            time.sleep(0.1)
        for address, problem in problems.items():
            if problem.endswith(CLOSED):
                raise PolicyError(
                    f"server {address} closes each connection at once: it wants TLS, so that credentials are needed, "
                    "does not know this robot's certificate, or has the most connections that it accepts "
                    "(--max-connections)"
                )
        found = "; ".join(f"{address}: {problem}" for address, problem in problems.items())
        raise PolicyUnavailableError(
            f"no policy server answers ({found}); start it there: {_start_command(next(iter(problems)))}"
        )


def _cause(error: Any) -> str:
    """The last part of gRPC's details, such as 'Connection refused'."""
    return str(error.details()).rpartition(": ")[2]


def _refusal(address: str, error: Any) -> str:
    """Why a server will never serve this robot as it is configured; empty if it may do later."""
    details = str(error.details())
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        return f"{details}; give the credentials of this server"
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return f"it is no policy server ({details})"
    if "verification check failed" in details.lower():
        return "its certificate is not for this address; see docs/policy_server.md for how it is made"
    if "handshake failed" in details.lower():
        return f"ca.pem is not of this server, or it has no TLS ({details.rpartition('SSL routines:')[2]})"
    host = address.rpartition(":")[0].strip("[]")
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror as unknown:
        if unknown.errno != socket.EAI_AGAIN:  # which is a network that is not there yet
            return f"the name '{host}' is not known ({unknown.strerror}); correct it, or give its IP address"
    return ""


def _start_command(address: str) -> str:
    """How to start a server at an address, there."""
    command = "smolvla-policy-server CHECKPOINT --address"
    if is_this_computer(address):
        return f"{command} {address}"
    return f"{command} 0.0.0.0:{address.rpartition(':')[2]} --credentials FOLDER"


def _retry_after_s(error: Any) -> float:
    """How long a busy server wants to be left alone; 0 if it is not busy."""
    given = dict(error.trailing_metadata() or ()).get(protocol.RETRY_AFTER, "")
    return min(int(given) / 1e3, 1.0) if str(given).isdecimal() else 0.0
