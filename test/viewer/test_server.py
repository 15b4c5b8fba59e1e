# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The server gives browsers whole files and parts of them, and refuses requests of other sites."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest

from smolvla_ros.dataset.lerobot_format import INFO
from smolvla_ros.viewer.editing import EditableData, Editor, EditRequest, EditRequestError
from smolvla_ros.viewer.server import page_server

from ..training.small_dataset import write_small_dataset

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[HTTPConnection]:
    (tmp_path / "video.mp4").write_bytes(CONTENT)
    editor = Editor(EditableData((tmp_path / "no_dataset",), {}))
    with page_server(tmp_path, editor=editor) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
        yield connection
        connection.close()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "wanted, status, begin, end",
    [
        (None, 200, 0, len(CONTENT)),
        ("bytes=0-", 206, 0, len(CONTENT)),
        ("bytes=100000-", 206, 100000, len(CONTENT)),
        ("bytes=7-9", 206, 7, 10),
        ("bytes=255990-999999", 206, 255990, len(CONTENT)),
    ],
)
def test_parts_of_a_file(
    wanted: str | None, status: int, begin: int, end: int, connection: HTTPConnection
) -> None:
    for _ in range(2):  # on one connection
        connection.request("GET", "/video.mp4", headers={"Range": wanted} if wanted else {})
        answer = connection.getresponse()
        assert answer.status == status and answer.getheader("Content-Type") == "video/mp4"
        assert answer.read() == CONTENT[begin:end] and answer.getheader("Accept-Ranges") == "bytes"
        if wanted:
            assert answer.getheader("Content-Range") == f"bytes {begin}-{end - 1}/{len(CONTENT)}"


@pytest.mark.parametrize("wanted", [{}, {"Range": "bytes=7-9"}])
def test_no_browser_takes_a_file_of_an_earlier_page(
    connection: HTTPConnection, wanted: dict[str, str]
) -> None:
    connection.request("GET", "/video.mp4", headers=wanted)
    assert connection.getresponse().getheader("Cache-Control") == "no-store"


def test_a_part_behind_the_end_is_refused(connection: HTTPConnection) -> None:
    connection.request("GET", "/video.mp4", headers={"Range": f"bytes={len(CONTENT)}-"})
    assert connection.getresponse().status == 416


def test_a_browser_that_drops_a_connection_causes_no_message(
    connection: HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = threading.active_count()
    connection.request("GET", "/video.mp4", headers={"Range": "bytes=0-9"})
    connection.sock.recv(100)
    time.sleep(0.1)  # the server waits for the next request
    assert threading.active_count() == ended + 1
    as_with_unread_data = struct.pack("ii", 1, 0)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, as_with_unread_data)
    connection.close()
    deadline_s = time.monotonic() + 10.0
    while threading.active_count() > ended and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert threading.active_count() == ended and capfd.readouterr().err == ""


def post(connection: HTTPConnection, body: str, **headers: str) -> tuple[int, str]:
    here = f"127.0.0.1:{connection.port}"
    sent = {"Host": here, "Origin": f"http://{here}", **headers}
    connection.request("POST", "/edit", body, {name: value for name, value in sent.items() if value})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


REQUEST = json.dumps({"output": "new", "words": ["--drop", "0"]})


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example"])
def test_another_name_that_leads_here_gets_nothing(connection: HTTPConnection, host: str) -> None:
    connection.request("GET", "/video.mp4", headers={"Host": host})
    answer = connection.getresponse()
    assert answer.status == 403 and len(answer.read()) < 200


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:1"])
def test_only_the_page_of_this_server_writes(connection: HTTPConnection, origin: str) -> None:
    status, text = post(connection, REQUEST, Origin=origin)
    assert status == 403 and "page of this server" in text


def test_what_the_command_says_is_the_end_of_the_answer(connection: HTTPConnection, tmp_path: Path) -> None:
    status, text = post(connection, REQUEST)
    *_, last = map(json.loads, text.splitlines())
    assert status == 200 and last["ok"] is False and last["text"].startswith("edit_dataset: ")
    assert "no_dataset" in last["text"] and not (tmp_path / "new").exists()


def test_a_server_without_a_dataset_writes_nothing(tmp_path: Path) -> None:
    with page_server(tmp_path) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert post(HTTPConnection(*server.server_address[:2], timeout=10), REQUEST)[0] == 404  # type: ignore[arg-type]
        thread.join()


@pytest.mark.parametrize("length", ["", "x", "-1", str(1 << 30)])
def test_a_request_without_a_bounded_length_is_refused(connection: HTTPConnection, length: str) -> None:
    connection.putrequest("POST", "/edit")
    connection.putheader("Origin", f"http://127.0.0.1:{connection.port}")
    if length:
        connection.putheader("Content-Length", length)
    connection.endheaders()
    assert connection.getresponse().status == 413


@pytest.mark.parametrize(
    "output, words",
    [
        ("../new", ["--drop", "0"]),
        ("a/b", ["--drop", "0"]),
        (".hidden", ["--drop", "0"]),
        ("", ["--drop", "0"]),
        (None, ["--drop", "0"]),
        ("new", []),
        ("new", "--drop"),
        ("new", ["--output", "/tmp"]),
        ("new", ["--drop", "0", "--output=/tmp"]),
        ("new", ["0", "--drop"]),
        ("new", ["--drop", 0]),
        ("new", ["--task", "0=a\0b"]),
    ],
)
def test_only_options_of_the_page_reach_the_command(output: object, words: object) -> None:
    with pytest.raises(EditRequestError):
        EditRequest.parse(json.dumps({"output": output, "words": words}))


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"output": "new"}', "[" * 100_000])
def test_a_body_that_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(EditRequestError, match="expected an object"):
        EditRequest.parse(text)


def test_a_command_that_is_running_is_ended_with_the_server(tmp_path: Path) -> None:
    dataset = write_small_dataset(tmp_path / "bar", [12], fps=10)
    (dataset / INFO).unlink()
    os.mkfifo(dataset / INFO)  # the command waits in reading it
    editor = Editor(EditableData((dataset,), {}))
    steps = editor.run(EditRequest("new", ("--split", "0=0.5")))
    with ThreadPoolExecutor() as pool:
        said = pool.submit(list, steps)
        while not editor.running:
            time.sleep(0.01)
        editor.close()
        assert said.result(20)[-1]["ok"] is False
    assert not (tmp_path / "new").exists()
