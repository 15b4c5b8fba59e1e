# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One page that is connected: sends it the newest of everything, and drops what it is too slow for.

The page acknowledges what it has taken before it gets more. So nothing waits in buffers on the way, where it would grow
old, and where a ping of the server would wait behind it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

from aiohttp import web

from smolvla_ros.console.access import Person, RateLimit

MESSAGES_PER_S, MESSAGE_BURST = 100.0, 200
PERIOD_S = 0.03  # from one sending to the next, at least
STALLED_S = 10.0  # a page that takes nothing for so long is disconnected
ACKNOWLEDGE = '{"kind": "acknowledge"}'
MAX_LINES = 20


class Viewer:
    """Frames and statuses replace the ones of their camera and kind that are not sent yet; nothing else waits."""

    def __init__(self, person: Person, socket: web.WebSocketResponse, now_s: float) -> None:
        self.person = person
        self.limit = RateLimit(MESSAGES_PER_S, MESSAGE_BURST, now_s)
        self._socket = socket
        self._has_news, self._is_ready = asyncio.Event(), asyncio.Event()
        self._is_ready.set()
        self._texts: dict[str, str] = {}  # by kind
        self._frames: dict[int, bytes] = {}  # by camera
        self._lines: deque[str] = deque(maxlen=MAX_LINES)  # of all others the newest one suffices

    def show(self, kind: str, text: str) -> None:
        """A JSON text of this kind."""
        self._texts[kind] = text
        self._has_news.set()

    def show_frame(self, camera: int, jpeg: bytes) -> None:
        self._frames[camera] = jpeg
        self._has_news.set()

    def tell(self, line: str) -> None:
        """A line for the person."""
        self._lines.append(line)
        self._has_news.set()

    def shown(self) -> None:
        """The page has taken all that was sent."""
        self._is_ready.set()

    async def send_all(self) -> None:
        """Send for ever; raises OSError when the connection is lost, TimeoutError when the page takes nothing."""
        while True:
            await self._has_news.wait()
            await asyncio.wait_for(self._is_ready.wait(), STALLED_S)
            self._has_news.clear()
            self._is_ready.clear()
            while self._lines:
                await self._send(json.dumps({"kind": "line", "text": self._lines.popleft()}))
            while self._texts:
                await self._send(self._texts.pop(next(iter(self._texts))))
            while self._frames:
                camera = next(iter(self._frames))
                await self._send(bytes([camera]) + self._frames.pop(camera))
            await self._send(ACKNOWLEDGE)
            await asyncio.sleep(PERIOD_S)

    async def _send(self, data: Any) -> None:
        send = self._socket.send_bytes if isinstance(data, bytes) else self._socket.send_str
        await asyncio.wait_for(send(data), STALLED_S)
