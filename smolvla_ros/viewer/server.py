# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serve the folder of a page to browsers of this computer; parts of files too, without which they cannot seek.

A POST to /edit writes a new dataset; its answer is a line of JSON for each step, which come as it goes on.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from smolvla_ros.http_access import AccessError, check_host, check_origin
from smolvla_ros.viewer.editing import Editor, EditRequest, EditRequestError

ONE_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
BLOCK = 1 << 16  # bytes
MAX_BODY = 1 << 22  # bytes


def page_server(folder: Path, port: int = 0, editor: Editor | None = None) -> ThreadingHTTPServer:
    """A server of these files on 127.0.0.1, on any free port for 0; `serve_forever` runs it. Raises OSError."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder), editor=editor))


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, editor: Editor | None, **named: Any) -> None:
        self._editor = editor
        super().__init__(*args, **named)

    def handle(self) -> None:
        """As of the base class; a browser that closes the connection is no error."""
        with suppress(ConnectionError):
            super().handle()

    def parse_request(self) -> bool:
        """As of the base class; refuses requests for another host."""
        if not super().parse_request():
            return False
        try:
            check_host(self.headers.get("Host", ""))
        except AccessError as error:
            self._refuse(error.status, str(error))
            return False
        return True

    def do_POST(self) -> None:
        """Run edit_dataset."""
        try:
            check_origin(self.headers.get("Origin", ""), self.headers.get("Host", ""))
            length = self.headers.get("Content-Length", "")
            if self.path != "/edit" or self._editor is None:
                raise AccessError(404, "nothing can be edited here")
            if not length.isdecimal() or int(length) > MAX_BODY:
                raise AccessError(413, f"expected at most {MAX_BODY} bytes, and their number")
            request = EditRequest.parse(self.rfile.read(int(length)))
        except AccessError as error:
            self._refuse(error.status, str(error))
        except EditRequestError as error:
            self._refuse(400, str(error))
        else:
            self._answer(self._editor, request)

    def _answer(self, editor: Editor, request: EditRequest) -> None:
        """Send the steps of an edit; it is completed for a page that was closed too."""
        self.close_connection = True  # which is the end of the answer
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/jsonl")
        self.send_header("Connection", "close")
        self.end_headers()
        for step in editor.run(request):
            with suppress(ConnectionError):
                self.wfile.write(json.dumps(step).encode() + b"\n")

    def _refuse(self, status: int, text: str) -> None:
        """Answer with one line of text; the rest of the request is not read."""
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text.encode())

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
        self.send_header(
            "Cache-Control", "no-store"
        )  # the next page at this port has files of the same names
        self.send_header("Content-Security-Policy", "frame-ancestors 'none'")  # nobody clicks in it unawares
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
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
