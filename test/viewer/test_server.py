# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The server gives browsers whole files and parts of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from smolvla_ros.viewer.server import page_server

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[HTTPConnection]:
    (tmp_path / "video.mp4").write_bytes(CONTENT)
    with page_server(tmp_path) as server:
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


def test_a_part_behind_the_end_is_refused(connection: HTTPConnection) -> None:
    connection.request("GET", "/video.mp4", headers={"Range": f"bytes={len(CONTENT)}-"})
    assert connection.getresponse().status == 416
