# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console's web server: its page, log-in, and a WebSocket for each page.

It serves these files and nothing else, keeps no connection open beside WebSockets, and answers every request of others
in a bounded time and with bounded memory.
"""

from __future__ import annotations

import asyncio
import errno
import json
import secrets
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

from aiohttp import WSMsgType, web

from smolvla_ros.console.access import Access, Control, Person
from smolvla_ros.console.backend import Backend
from smolvla_ros.console.connection_gate import ConnectionGate
from smolvla_ros.console.messages import (
    MessageError,
    ReleaseControl,
    Shown,
    Stop,
    TakeControl,
    parse,
)
from smolvla_ros.console.server_config import RANDOM, ServerConfig
from smolvla_ros.console.viewer import Viewer
from smolvla_ros.http_access import AccessError, check_origin

FILES = {"": "console.html", "console.js": "console.js", "console.css": "console.css"}  # by path
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "console",
}
MAX_BODY = 1024  # bytes: a token
BODY_S = 5.0
MAX_VIEWERS = 20
MAX_SOCKET_MESSAGE = 1 << 16  # bytes; a longer one ends its connection
HEARTBEAT_S = 4.0  # a connection without an answer to a ping within half of it is lost


class ConsoleServer:
    """The server; its methods are called in the thread of its event loop."""

    def __init__(self, config: ServerConfig, backend: Backend) -> None:
        self._config, self._backend = config, backend
        tokens = (config.token, config.view_token)
        self.token, self.view_token = (secrets.token_urlsafe(24) if t == RANDOM else t for t in tokens)
        own = socket.gethostname()
        self._access = Access(self.token, self.view_token, (*config.host_names, own, f"{own}.local"))
        self._control = Control()
        self._viewers: set[Viewer] = set()
        self._is_closing = False

    async def start(self) -> int:
        """Listen; returns the port. Raises OSError, and ssl.SSLError for a certificate that is not valid."""
        application = web.Application(client_max_size=MAX_BODY, middlewares=[self._guard])
        application.on_response_prepare.append(_set_headers)
        base = self._config.base_path
        if base:
            application.router.add_get(base, self._redirect)
        for path in FILES:
            application.router.add_get(f"{base}/{path}", partial(self._file, path))
        application.router.add_get(f"{base}/session", self._session)
        application.router.add_post(f"{base}/login", self._log_in)
        application.router.add_get(f"{base}/socket", self._socket)
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=1.0, lingering_time=0.0
        )
        await self._runner.setup()
        try:
            self._listener = await self._listen(self._config.port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            self._listener = await self._listen(0)
        self.port = int(self._listener.sockets[0].getsockname()[1])
        return self.port

    async def close(self) -> None:
        """Stop listening and end all connections, without stopping the arm."""
        self._is_closing = True
        self._listener.close()
        await self._runner.cleanup()

    @property
    def in_control(self) -> str:
        """Who is in control; empty: nobody."""
        return str(self._control.holder or "")

    def links(self) -> list[str]:
        """The address of the page for operators, and for viewers; a browser sends no part after # to anybody."""
        host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(
            self._config.host, self._config.host
        )
        host = f"[{host}]" if ":" in host else host
        scheme = "https" if self._config.certificate else "http"
        page = f"{scheme}://{host}:{self.port}{self._config.base_path}/"
        return [
            f"{page}#{quote(token, safe='')}" if token else page
            for token in (self.token, *filter(None, [self.view_token]))
        ]

    def show(self, kind: str, text: str) -> None:
        """Send a JSON text to all pages; it replaces one of the same kind that is not sent yet."""
        for viewer in self._viewers:
            viewer.show(kind, text)

    def show_frame(self, camera: int, jpeg: bytes) -> None:
        """Send the newest image of a camera, by its index, to all pages."""
        for viewer in self._viewers:
            viewer.show_frame(camera, jpeg)

    async def _listen(self, port: int) -> asyncio.Server:
        context = None
        if self._config.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._config.certificate, self._config.certificate_key)
        server = self._runner.server
        assert server is not None
        waiting: set[ConnectionGate] = set()
        gate = partial(ConnectionGate, waiting, lambda: len(server.connections), server)
        return await asyncio.get_running_loop().create_server(gate, self._config.host, port, ssl=context)

    # Requests.

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Check who asks, and answer errors with one line."""
        try:
            self._access.check_host(request.host)
            if request.method != "GET" or request.path.endswith("/socket"):
                check_origin(request.headers.get("Origin", ""), request.host)
            response = await handler(request)
        except AccessError as error:
            response = web.Response(status=error.status, text=str(error))
        return response

    async def _redirect(self, _request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"{self._config.base_path}/")

    async def _file(self, path: str, _request: web.Request) -> web.StreamResponse:
        file = Path(__file__).with_name(FILES[path])
        return web.Response(body=file.read_bytes(), content_type=TYPES[file.suffix], charset="utf-8")

    async def _session(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"role": self._access.role(self._cookie(request)).value})

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        try:
            token = await asyncio.wait_for(request.text(), BODY_S)
        except (asyncio.TimeoutError, ValueError, LookupError):  # too slow, or no text
            raise AccessError(400, "the request does not contain a token") from None
        session, role = self._access.log_in(token.strip(), request.remote or "", time.monotonic())
        response = web.json_response({"role": role.value})
        response.set_cookie(
            self._cookie_name,
            session,
            path=f"{self._config.base_path}/",
            httponly=True,
            samesite="Strict",
            secure=bool(self._config.certificate),
        )
        return response

    @property
    def _cookie_name(self) -> str:
        return f"console_{self.port}"  # browsers send cookies to all ports of a host

    def _cookie(self, request: web.Request) -> str | None:
        return request.cookies.get(self._cookie_name)

    # WebSockets.

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        role = self._access.role(self._cookie(request))
        if len(self._viewers) >= MAX_VIEWERS:
            raise AccessError(503, f"{MAX_VIEWERS} pages are open already; close some")
        page = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MAX_SOCKET_MESSAGE, compress=False)
        await page.prepare(request)
        transport = request.transport
        assert transport is not None
        viewer = Viewer(Person(role, request.remote or ""), page, time.monotonic())
        self._enter(viewer)
        sending = asyncio.create_task(_send(viewer, transport))
        try:
            async for message in page:
                await asyncio.sleep(viewer.limit.wait_s(time.monotonic()))
                if message.type is WSMsgType.TEXT:
                    self._receive(viewer, message.data)
                else:
                    viewer.tell("a message is not text")
        finally:
            sending.cancel()
            self._leave(viewer)
        return page

    def _enter(self, viewer: Viewer) -> None:
        viewer.show(
            "hello",
            json.dumps({"kind": "hello", "role": viewer.person.role.value, **self._backend.page_facts()}),
        )
        self._viewers.add(viewer)
        self._show_control()
        if len(self._viewers) == 1:
            self._backend.watch(True)

    def _leave(self, viewer: Viewer) -> None:
        self._viewers.remove(viewer)
        if self._control.release(viewer.person) and not self._is_closing:
            if self._config.stop_on_lost_operator:
                self._backend.execute(Stop())
            self._show_control()
        if not self._viewers:
            self._backend.watch(False)

    def _receive(self, viewer: Viewer, text: str) -> None:
        """Do what a page says; tell it why not."""
        person = viewer.person
        try:
            message = parse(text)
            if isinstance(message, Shown):
                viewer.shown()
            elif isinstance(message, Stop):
                self._control.check_operator(person)
                self._backend.execute(message)
            elif isinstance(message, TakeControl):
                person.name = message.name
                self._control.take(person)
                self._show_control()
            elif isinstance(message, ReleaseControl):
                self._control.release(person)
                self._show_control()
            else:
                self._control.check(person)
                self._backend.execute(message)
        except (MessageError, AccessError) as error:
            viewer.tell(str(error))

    def _show_control(self) -> None:
        """Tell all pages who is in control."""
        holder = self._control.holder
        for viewer in self._viewers:
            control = {"holder": str(holder) if holder else "", "is_you": holder is viewer.person}
            viewer.show("control", json.dumps({"kind": "control", **control}))


async def _send(viewer: Viewer, transport: asyncio.Transport) -> None:
    """Send to a page until its connection is lost; a page that takes nothing is disconnected."""
    with suppress(OSError):
        try:
            await viewer.send_all()
        except asyncio.TimeoutError:
            transport.abort()


async def _set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    if not isinstance(response, web.WebSocketResponse):
        response.force_close()
        response.headers["Connection"] = "close"
