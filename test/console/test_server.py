# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The server over real HTTP and WebSockets: who gets in, who is in control, what is sent."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from pathlib import Path
from urllib.parse import unquote

import aiohttp
import pytest

from smolvla_ros.console import messages, server
from smolvla_ros.console.server import FILES

from .served import PAGE_FACTS, TOKEN, VIEW_TOKEN, serving


def test_the_page_is_served_with_headers_that_keep_other_sites_out() -> None:
    async def scenario() -> None:
        async with serving() as served:
            for path in FILES:
                answer = await served.get(f"/{path}")
                assert answer.status == 200 and await answer.text()
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert "Python" not in answer.headers["Server"]

    asyncio.run(scenario())


def test_a_page_gets_facts_status_and_frames_and_what_it_says_is_done() -> None:
    async def scenario() -> None:
        async with serving() as served:
            page = await served.page()
            assert page.newest["hello"] == {"kind": "hello", "role": "operator", **PAGE_FACTS}
            assert page.newest["control"] == {"kind": "control", "holder": "", "is_you": False}
            served.server.show("motion", '{"kind": "motion", "t": 1}')
            served.server.show_frame(1, b"old")
            served.server.show_frame(1, b"jpeg")
            assert await page.receive_until("motion")
            await page.receive_until("frame")
            assert page.frames == {1: b"jpeg"}
            await page.say("arm", on=True)
            await page.receive_until("line")
            await page.say("take_control", name="Anna")
            assert (await page.receive_until("control"))["is_you"]
            await page.say("arm", on=True)
            await page.say("stop")
            await served.until(lambda: served.backend.actions == [messages.Arm(True), messages.Stop()])
            assert page.lines == ["nobody is in control; take control first"]

    asyncio.run(scenario())


def test_the_robot_is_watched_from_the_first_page_to_the_last() -> None:
    async def scenario() -> None:
        async with serving() as served:
            first, second = await served.page(), await served.page()
            await first.socket.close()
            await second.socket.close()
            await served.until(lambda: served.backend.watched == [True, False])

    asyncio.run(scenario())


def test_a_token_opens_a_session_by_a_cookie_that_scripts_and_other_sites_do_not_get() -> None:
    async def scenario() -> None:
        async with serving(token=TOKEN) as served:
            assert (await served.get("/session")).status == 401
            answer = await served.log_in()
            assert await answer.json() == {"role": "operator"}
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
            assert (await served.get("/session")).status == 200
            assert (await served.page()).newest["hello"]["role"] == "operator"

    asyncio.run(scenario())


def test_a_viewer_only_looks() -> None:
    async def scenario() -> None:
        async with serving(token=TOKEN, view_token=VIEW_TOKEN) as served:
            await served.log_in(VIEW_TOKEN)
            page = await served.page()
            assert page.newest["hello"]["role"] == "viewer"
            for kind in ("stop", "reset", "take_control"):
                await page.say(kind, **({"name": ""} if kind == "take_control" else {}))
                await page.receive_until("line")
            assert all("only look" in line for line in page.lines) and not served.backend.actions

    asyncio.run(scenario())


def test_a_second_operator_is_told_who_is_in_control_and_can_stop() -> None:
    async def scenario() -> None:
        async with serving() as served:
            anna, ben = await served.page(), await served.page()
            await anna.say("take_control", name="Anna")
            assert (await ben.receive_until("control"))["holder"] == "Anna at 127.0.0.1"
            for kind, values in (("take_control", {"name": "Ben"}), ("set_task", {"task": "wave"})):
                await ben.say(kind, **values)
                await ben.receive_until("line")
            assert all(line.startswith("Anna at 127.0.0.1 is in control") for line in ben.lines)
            await ben.say("stop")
            await served.until(lambda: served.backend.actions == [messages.Stop()])
            await anna.say("release_control")
            assert (await ben.receive_until("control"))["holder"] == ""
            await ben.say("take_control", name="Ben")
            assert (await ben.receive_until("control"))["is_you"]

    asyncio.run(scenario())


@pytest.mark.parametrize("stops", [True, False])
def test_a_lost_operator_in_control_stops_the_arm_and_another_one_does_not(stops: bool) -> None:
    async def scenario() -> None:
        async with serving(stop_on_lost_operator=stops) as served:
            anna, ben, watching = await served.page(), await served.page(), await served.page()
            await anna.say("take_control", name="Anna")
            await watching.receive_until("control")
            await ben.socket.close()
            await anna.socket.close()
            assert (await watching.receive_until("control"))["holder"] == ""
            assert served.backend.actions == [messages.Stop()] * stops

    asyncio.run(scenario())


def test_a_cut_network_counts_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEARTBEAT_S", 0.2)

    async def scenario() -> None:
        async with serving() as served:
            client = served.client.ws_connect(
                f"{served.address}/socket", headers=served.own_origin, autoping=False
            )
            socket = await client  # it answers no ping, as if nothing arrived any more
            await socket.send_str('{"say": "take_control", "name": ""}')
            await served.until(lambda: served.backend.actions == [messages.Stop()])

    asyncio.run(scenario())


def test_a_server_that_ends_does_not_stop_the_arm() -> None:
    async def scenario() -> None:
        async with serving() as served:
            page = await served.page()
            await page.say("take_control", name="")
            await page.receive_until("control")
        assert not served.backend.actions

    asyncio.run(scenario())


def test_a_page_more_than_allowed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_VIEWERS", 2)

    async def scenario() -> None:
        async with serving() as served:
            pages = [await served.page(), await served.page()]
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                await served.page()
            await pages[0].socket.close()
            await served.page()

    asyncio.run(scenario())


def test_behind_a_reverse_proxy_it_lives_under_a_path() -> None:
    async def scenario() -> None:
        async with serving(base_path="/robot", token=TOKEN) as served:
            assert (await served.get("/robot")).url.path == "/robot/"
            assert (await served.get("/")).status == 404
            answer = await served.client.post(
                f"{served.address}/robot/login", data=TOKEN, headers=served.own_origin
            )
            assert "Path=/robot/;" in answer.headers["Set-Cookie"] + ";"
            assert (await served.get("/robot/session")).status == 200

    asyncio.run(scenario())


def test_a_made_token_is_in_the_link_after_the_mark_that_browsers_keep_to_themselves() -> None:
    async def scenario() -> None:
        async with serving(token="random", view_token="random") as served:
            operator, viewer = served.server.links()
            page, _, token = operator.partition("#")
            assert page == f"{served.address}/" and len(token) >= 32 and token not in viewer
            assert (await served.log_in(token)).status == 200
            assert token not in await (await served.get("/")).text()

    asyncio.run(scenario())


def test_a_link_has_any_token_as_the_page_decodes_it() -> None:
    token = "100% secure #1 %41 ä"

    async def scenario() -> None:
        async with serving(token=token) as served:
            [operator] = served.server.links()
            assert unquote(operator.partition("#")[2], errors="strict") == token
            assert re.fullmatch(r"(%[0-9A-F]{2}|[\w.~-])+", operator.partition("#")[2], re.ASCII)

    asyncio.run(scenario())


def test_another_port_is_taken_when_the_wanted_one_is_in_use() -> None:
    async def scenario() -> None:
        async with serving() as first, serving(port=first.server.port) as second:
            assert first.server.port != second.server.port
            assert (await second.get("/")).status == 200

    asyncio.run(scenario())


def test_https_with_a_given_certificate(tmp_path: Path) -> None:
    files = {"certificate": str(tmp_path / "cert.pem"), "certificate_key": str(tmp_path / "key.pem")}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=robot"]
        + ["-out", files["certificate"], "-keyout", files["certificate_key"]],
        check=True,
        capture_output=True,
    )

    async def scenario() -> None:
        async with serving(token=TOKEN, **files) as served:
            address = f"https://{served.site}"
            context = ssl.create_default_context(cafile=files["certificate"])
            context.check_hostname = False
            headers = {"Origin": address}
            answer = await served.client.post(f"{address}/login", data=TOKEN, headers=headers, ssl=context)
            assert "Secure" in answer.headers["Set-Cookie"]
            socket = await served.client.ws_connect(f"{address}/socket", headers=headers, ssl=context)
            assert (await socket.receive_json())["role"] == "operator"
            assert served.server.links()[0].startswith("https://")

    asyncio.run(scenario())
