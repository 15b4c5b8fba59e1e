# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real server with a back end in this process, and real clients."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from smolvla_ros.console.messages import Action
from smolvla_ros.console.server import ConsoleServer
from smolvla_ros.console.server_config import ServerConfig

TOKEN, VIEW_TOKEN = "a token of operators", "a token of viewers"
PAGE_FACTS = {
    "robot": "so100",
    "cameras": ["top", "wrist"],
    "joints": ["pan"],
    "choices": {},
    "suggestions": [],
}


class ListBackend:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.watched: list[bool] = []

    def page_facts(self) -> dict[str, Any]:
        return PAGE_FACTS

    def watch(self, is_watched: bool) -> None:
        self.watched.append(is_watched)

    def execute(self, action: Action) -> None:
        self.actions.append(action)


class Page:
    """What a page sees and says; `lines`: those that the server told it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.newest: dict[str, Any] = {}
        self.lines: list[str] = []
        self.frames: dict[int, bytes] = {}

    async def say(self, kind: str, **values: Any) -> None:
        await self.socket.send_str(json.dumps({"say": kind, **values}))

    async def receive(self) -> str:
        """The next message; returns its kind."""
        message = await self.socket.receive(5.0)
        if message.type is aiohttp.WSMsgType.BINARY:
            self.frames[message.data[0]] = message.data[1:]
            return "frame"
        assert message.type is aiohttp.WSMsgType.TEXT, message
        values = json.loads(message.data)
        if values["kind"] == "acknowledge":
            await self.say("shown")
        self.newest[values["kind"]] = values
        if values["kind"] == "line":
            self.lines.append(values["text"])
        return str(values["kind"])

    async def receive_until(self, kind: str) -> Any:
        while await self.receive() != kind:
            pass
        return self.newest.get(kind)


class Served:
    """A server that runs, as seen from outside."""

    def __init__(self, server: ConsoleServer, backend: ListBackend, client: aiohttp.ClientSession) -> None:
        self.server, self.backend, self.client = server, backend, client
        self.site = f"127.0.0.1:{server.port}"
        self.address = f"http://{self.site}"
        self.own_origin = {"Origin": self.address}

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        return await self.client.get(self.address + path, headers=headers)

    async def log_in(self, token: str = TOKEN, **headers: str) -> aiohttp.ClientResponse:
        return await self.client.post(
            f"{self.address}/login", data=token, headers={**self.own_origin, **headers}
        )

    async def page(self, **headers: str) -> Page:
        """A WebSocket; raises aiohttp.WSServerHandshakeError if it is refused."""
        socket = await self.client.ws_connect(
            f"{self.address}/socket", headers={**self.own_origin, **headers}
        )
        page = Page(socket)
        await page.receive_until("control")
        return page

    async def raw(self, request: bytes) -> bytes:
        """All that the server answers to these bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 10.0)
        writer.close()
        return answer

    async def until(self, condition: Any) -> None:
        deadline_s = time.monotonic() + 5.0
        while not condition():
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Served]:
    """A server on any free port, with these settings."""
    backend = ListBackend()
    server = ConsoleServer(ServerConfig(**{"port": 0, **settings}), backend)
    await server.start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
            yield Served(server, backend, client)
    finally:
        await server.close()
