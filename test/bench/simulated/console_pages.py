# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pages of the console without a browser: some that take what they get, one that takes nothing, and the operator's."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import select
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

PATIENCE_S = 60.0
TURN_S = 0.1  # how often the number of open pages is looked at
SWITCHED = b"HTTP/1.1 101"  # the answer to a page that is let in


@dataclass
class Pages:
    """The pages that shall be open: values shared with the process that opens them."""

    reading: Any  # how many take what they get
    stalled: Any  # whether one more takes nothing
    images: Any  # how many all of them have got
    closed: Any  # how often the console has closed the stalled one


def keep_pages_open(address: str, pages: Pages) -> None:
    """Run until `pages.reading` is negative."""
    os.nice(10)
    asyncio.run(_keep_pages_open(address, pages))


async def _keep_pages_open(address: str, pages: Pages) -> None:
    tasks: list[asyncio.Task[None]] = []
    stalled: StalledPage | None = None
    async with aiohttp.ClientSession() as session:
        while pages.reading.value >= 0:
            while len(tasks) > pages.reading.value:
                tasks.pop().cancel()
            while len(tasks) < pages.reading.value:
                tasks.append(asyncio.create_task(view(session, address, pages)))
            if stalled is not None and (stalled.is_closed() or not pages.stalled.value):
                pages.closed.value += stalled.is_closed()
                stalled.close()
                stalled = None
            if stalled is None and pages.stalled.value:
                stalled = StalledPage(address)
            for task in tasks:
                if task.done():
                    raise RuntimeError(
                        "the console has closed a page that takes what it gets"
                    ) from task.exception()
            await asyncio.sleep(TURN_S)
        for task in tasks:
            task.cancel()


def origin(address: str) -> dict[str, str]:
    """The header by which a browser names the site of a page."""
    site = urlsplit(address)
    return {"Origin": f"{site.scheme}://{site.netloc}"}


async def view(session: aiohttp.ClientSession, address: str, pages: Pages) -> None:
    """A page as a browser shows it."""
    async with session.ws_connect(f"{address}socket", headers=origin(address)) as page:
        async for message in page:
            if message.type is aiohttp.WSMsgType.BINARY:
                pages.images.value += 1
            elif "acknowledge" in message.data[:30]:
                await page.send_str(json.dumps({"say": "shown"}))


class StalledPage:
    """A page whose connection is never read after the console has let it in."""

    def __init__(self, address: str) -> None:
        site = urlsplit(address)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect((site.hostname, site.port))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            "GET /socket HTTP/1.1",
            f"Host: {site.netloc}",
            f"Origin: {origin(address)['Origin']}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        )
        self._socket.sendall("\r\n".join((*lines, "", "")).encode())
        if (answer := self._socket.recv(len(SWITCHED))) != SWITCHED:
            raise RuntimeError(f"the console does not let a page in: {answer!r}")
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLRDHUP)

    def is_closed(self) -> bool:
        return bool(self._poll.poll(0))

    def close(self) -> None:
        self._socket.close()


class Operator:
    """The page of the operator in control, in a thread of its own."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._open())
        self._reading = asyncio.run_coroutine_threadsafe(self._read(), self._loop)
        self.say("take_control", name="bench")

    def say(self, kind: str, **values: Any) -> int:
        """Send a message of the page; returns the time before (ns)."""
        return int(self._run(self._say(kind, **values)))

    def close(self) -> None:
        self._run(self._session.close())
        self._reading.result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession()
        self._page = await self._session.ws_connect(f"{self._address}socket", headers=origin(self._address))

    async def _read(self) -> None:
        async for message in self._page:
            if message.type is aiohttp.WSMsgType.TEXT and "acknowledge" in message.data[:30]:
                await self._say("shown")

    async def _say(self, kind: str, **values: Any) -> int:
        text, before_ns = json.dumps({"say": kind, **values}), time.time_ns()
        await self._page.send_str(text)
        return before_ns
