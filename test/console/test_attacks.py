# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What strangers may try against the server: each attempt is refused, and an operator's page goes on."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import time
from contextlib import suppress

import aiohttp
import pytest

from smolvla_ros.console import connection_gate, messages, server

from .served import TOKEN, Served, serving

UPGRADE = (
    b"GET /socket HTTP/1.1\r\nHost: %b\r\nOrigin: http://%b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", ""])
def test_a_page_of_another_site_reaches_neither_login_nor_websocket(origin: str) -> None:
    async def scenario() -> None:
        async with serving() as served:
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await served.page(Origin=origin)
            assert (await served.log_in(Origin=origin)).status == 403
            assert not served.backend.watched

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/", "/session", "/socket", "/login"])
def test_a_name_of_another_site_that_leads_here_is_refused(path: str) -> None:
    async def scenario() -> None:
        async with serving() as served:
            host = f"evil.example:{served.server.port}"
            answer = await served.get(path, Host=host, Origin=f"http://{host}")
            assert answer.status == 403 and "<" not in await answer.text()

    asyncio.run(scenario())


def test_wrong_and_missing_tokens_are_refused_and_guessing_is_slowed_down() -> None:
    async def scenario() -> None:
        async with serving(token=TOKEN) as served:
            with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
                await served.page()
            with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
                await served.page(Cookie=f"console_{served.server.port}={TOKEN}")
            answers = [await served.log_in(token) for token in ("", "x", "\0", "ü" * 100, TOKEN[:-1], TOKEN)]
            assert [answer.status for answer in answers] == [401] * 5 + [429]
            assert not any([TOKEN in await answer.text() for answer in answers])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "/console.html/../access.py",
        "//etc/passwd",
        "/etc/passwd",
        "/console.html",
        "/server.py",
        "/console.js%00.html",
        "http://127.0.0.1/server.py",
    ],
)
def test_only_the_files_of_the_page_are_served(path: str) -> None:
    async def scenario() -> None:
        async with serving() as served:
            request = f"GET {path} HTTP/1.1\r\nHost: {served.site}\r\n\r\n"
            answer = await served.raw(request.encode())
            assert answer.split()[1] in (b"404", b"400") and b"import" not in answer

    asyncio.run(scenario())


@pytest.mark.parametrize("head", ["Content-Length: 100000000", "Transfer-Encoding: chunked"])
def test_a_body_of_100_mb_is_not_read(head: str) -> None:
    async def scenario() -> None:
        async with serving(token=TOKEN) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
            line = (
                f"POST /login HTTP/1.1\r\nHost: {served.site}\r\nOrigin: {served.address}\r\n{head}\r\n\r\n"
            )
            writer.write(line.encode())
            block = b"x" * 1_000_000
            sent = 0
            with suppress(ConnectionError):
                while sent < 100:
                    writer.write(b"f4240\r\n" + block + b"\r\n" if "chunked" in head else block)
                    await writer.drain()
                    sent += 1
            assert sent < 20
            writer.close()
            assert (await served.log_in()).status == 200

    asyncio.run(scenario())


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_S", 0.1)

    async def scenario() -> None:
        async with serving() as served:
            lines = ("POST /login HTTP/1.1", f"Host: {served.site}", f"Origin: {served.address}")
            head = "\r\n".join([*lines, "Content-Length: 9", "", ""])
            assert b" 400 " in await served.raw(head.encode())

    asyncio.run(scenario())


def test_a_thousand_connections_do_not_disturb_a_page_and_end_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_gate, "HEAD_S", 0.5)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))

    async def scenario() -> None:
        async with serving() as served:
            page = await served.page()
            ends = []
            for i in range(1000):
                reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
                with suppress(ConnectionError):
                    writer.write(b"GET / HT" * (i % 2))
                ends.append((reader, writer))
            served.server.show("motion", '{"kind": "motion"}')
            await page.receive_until("motion")
            await page.say("stop")
            await served.until(lambda: served.backend.actions == [messages.Stop()])
            for reader, writer in ends:
                with suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), 5.0) == b""
                writer.close()
            assert (await served.get("/")).status == 200

    try:
        asyncio.run(scenario())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_head_without_end_is_cut_off() -> None:
    async def scenario() -> None:
        async with serving() as served:
            with suppress(ConnectionError):
                assert await served.raw(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000) == b""

    asyncio.run(scenario())


def test_a_page_that_takes_nothing_is_disconnected_and_delays_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "HEARTBEAT_S", 0.4)

    async def scenario() -> None:
        async with serving() as served:
            page = await served.page()
            _, stalled = await asyncio.open_connection("127.0.0.1", served.server.port, limit=1024)
            stalled.write(UPGRADE % (served.site.encode(), served.site.encode()))
            await served.until(lambda: len(served.server._viewers) == 2)
            longest_s = 0.0
            for i in range(1, 101):
                sent_s = time.monotonic()
                served.server.show_frame(0, bytes([i]) * 300_000)
                while page.frames.get(0, b"\0")[0] != i:
                    await page.receive()
                longest_s = max(longest_s, time.monotonic() - sent_s)
                await asyncio.sleep(0.01)
            assert longest_s < 0.5
            await served.until(lambda: len(served.server._viewers) == 1)

    asyncio.run(scenario())


def hostile_texts() -> list[str]:
    """Messages that are nearly right, and such that are not at all."""
    generator = random.Random(0)
    texts = ["", "null", "[]", "{}", '{"say": "arm"}', "[" * 4096, "x" * 60_000, '{"say": {}}', "\0", "NaN"]
    values = [None, True, -1, 1e300, "x" * 300, [], {}, "\ud800", "__class__"]
    for _ in range(60):
        kind = generator.choice([*messages.KINDS, "quit"])
        fields = generator.sample(["on", "task", "name", "verb", "threshold"], 2)
        texts.append(json.dumps({"say": kind, **{field: generator.choice(values) for field in fields}}))
    return texts


def test_hostile_messages_are_answered_and_end_nothing() -> None:
    async def scenario() -> None:
        async with serving() as served:
            page = await served.page()
            await page.say("take_control", name="")
            await page.receive_until("control")
            for text in hostile_texts():
                await page.socket.send_str(text)
                await page.receive_until("line")
            await page.socket.send_bytes(b"\xff\x00")
            await page.receive_until("line")
            assert not served.backend.actions
            await page.say("stop")
            await served.until(lambda: served.backend.actions == [messages.Stop()])

    asyncio.run(scenario())


def test_a_message_of_a_megabyte_ends_only_its_own_connection() -> None:
    async def scenario() -> None:
        async with serving() as served:
            page, other = await served.page(), await served.page()
            await page.socket.send_str("x" * 1_000_000)
            await served.until(lambda: len(served.server._viewers) == 1)
            await other.say("stop")
            await served.until(lambda: served.backend.actions == [messages.Stop()])

    asyncio.run(scenario())


def test_a_flood_of_messages_is_slowed_down() -> None:
    async def scenario() -> None:
        async with serving() as served:
            page = await served.page()
            started_s = time.monotonic()
            for _ in range(300):
                await page.say("stop")
            await served.until(lambda: len(served.backend.actions) == 300)
            assert time.monotonic() - started_s > 0.9  # 200 at once, then 100 a second

    asyncio.run(scenario())


def test_an_error_in_the_program_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(served: Served) -> str:
        monkeypatch.setattr(served.server._access, "role", lambda _session: 1 // 0)
        answer = await served.get("/session")
        assert answer.status == 500
        return await answer.text()

    async def run() -> str:
        async with serving() as served:
            return await scenario(served)

    text = asyncio.run(run())
    assert "Traceback" not in text and "ZeroDivision" not in text
