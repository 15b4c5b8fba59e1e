# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Limits how many connections are open, and how long one may take to send the head of its request.

aiohttp waits for the head of a first request without limit, so that a thousand silent connections would use up all file
descriptors. Here a connection belongs to a gate until its head is complete; only then aiohttp gets to know of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MAX_CONNECTIONS = 64
HEAD_S = 5.0
MAX_HEAD = 16384  # bytes
END_OF_HEAD = b"\r\n\r\n"


class ConnectionGate(asyncio.Protocol):
    """One new connection. `waiting`: all gates of a server; `count`: connections that are past theirs."""

    def __init__(
        self,
        waiting: set[ConnectionGate],
        count: Callable[[], int],
        make_handler: Callable[[], asyncio.Protocol],
    ) -> None:
        self._waiting, self._count, self._make_handler = waiting, count, make_handler
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._waiting) + self._count() >= MAX_CONNECTIONS:
            transport.abort()
            return
        self._waiting.add(self)
        self._timeout = asyncio.get_running_loop().call_later(HEAD_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if END_OF_HEAD in self._head:
            self._leave()
            handler = self._make_handler()
            self._transport.set_protocol(handler)
            handler.connection_made(self._transport)
            handler.data_received(self._head)
        elif len(self._head) > MAX_HEAD:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()

    def _leave(self) -> None:
        if self in self._waiting:
            self._waiting.remove(self)
            self._timeout.cancel()
