# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console's server in a thread of its own, so that a web page never waits for ROS, nor ROS for a web page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from smolvla_ros.console.server import ConsoleServer

ANSWER_S = 5.0  # for which start and end of the server are waited for


class ServerThread:
    """Starts a server. Raises OSError if it cannot listen."""

    def __init__(self, server: ConsoleServer) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="console", daemon=True)
        self._thread.start()
        try:
            self._run(server.start())
        except OSError:
            self._end()
            raise

    def post(self, method: Callable[..., None], *arguments: Any) -> None:
        """Call a method of the server in its thread, soon."""
        self._loop.call_soon_threadsafe(method, *arguments)

    def close(self) -> None:
        """End the server and its thread."""
        self._run(self._server.close())
        self._end()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(ANSWER_S)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
