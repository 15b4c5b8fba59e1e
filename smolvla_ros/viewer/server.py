# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serve the folder of a page to browsers of this computer; parts of files too, without which they cannot seek."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ONE_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
BLOCK = 1 << 16  # bytes


def page_server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of these files on 127.0.0.1, on any free port for 0; `serve_forever` runs it. Raises OSError."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder)))


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def send_head(self) -> Any:
        """As of the base class; answers a request for one part of a file with this part."""
        self._length: int | None = None
        wanted = ONE_RANGE.fullmatch(self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if wanted is None or not path.is_file():
            return super().send_head()
        size = path.stat().st_size
        first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
        if first > last:
            self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return None
        file = path.open("rb")
        file.seek(first)
        self._length = last - first + 1
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(self._length))
        self.end_headers()
        return file

    def end_headers(self) -> None:
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send the file, or the part of it that was asked for; a browser that has enough closes the connection."""
        left = self._length
        with suppress(ConnectionError):
            while data := source.read(BLOCK if left is None else min(BLOCK, left)):
                outputfile.write(data)
                left = None if left is None else left - len(data)

    def log_message(self, format: str, *args: Any) -> None:
        """No line for each request."""
