# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small server with the part of the hub's API that datasets need: repositories, commits, large files, tags."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from huggingface_hub.constants import ENDPOINT

TOKEN = "hf_test"


@dataclass
class Repository:
    """A dataset on the hub; `files` are those of the newest commit."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    commits: int = 0

    @property
    def sha(self) -> str:
        return f"{self.commits:040x}"


@dataclass
class Hub:
    """What is on the hub, what was sent and fetched, and which file is refused."""

    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large_files: dict[str, bytes] = field(default_factory=dict)  # by SHA-256
    sent: Counter[str] = field(default_factory=Counter)  # large files, by SHA-256
    fetched: Counter[str] = field(default_factory=Counter)  # by path
    refused: str = ""  # SHA-256 of a large file that cannot be sent, or path of a file that cannot be fetched


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A hub on a free port of this computer."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield hub
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, content: Any = None, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _words(self) -> list[str]:
        return [unquote(word) for word in urlsplit(self.path).path.strip("/").split("/")]

    def do_PUT(self) -> None:
        body = self._body()
        digest = hashlib.sha256(body).hexdigest()
        if digest == self.hub.refused:
            self._answer(403, {"error": "refused"})
            return
        self.hub.large_files[digest] = body
        self.hub.sent[digest] += 1
        self._answer(200, {})

    def do_DELETE(self) -> None:
        _, _, user, name, _, tag = self._words()
        tags = self.hub.repositories[f"{user}/{name}"].tags
        if tag not in tags:
            self._answer(404, {}, X_Error_Code="RevisionNotFound")
            return
        tags.remove(tag)
        self._answer(200, {})

    def do_POST(self) -> None:
        body, words = self._body(), self._words()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid username or password."})
        elif words == ["api", "validate-yaml"]:
            self._answer(200, {"errors": [], "warnings": []})
        elif words == ["api", "repos", "create"]:
            self._create(json.loads(body))
        elif words[-3:] == ["lfs", "objects", "batch"]:
            known = self.hub.large_files
            objects = [
                {
                    **entry,
                    **({} if entry["oid"] in known else {"actions": {"upload": {"href": self._blob(entry)}}}),
                }
                for entry in json.loads(body)["objects"]
            ]
            self._answer(200, {"transfer": "basic", "objects": objects})
        else:
            _, _, user, name, action, _ = words
            repository = self.hub.repositories[f"{user}/{name}"]
            self._answer(200, getattr(self, f"_{action}")(repository, body))

    def _blob(self, entry: dict[str, Any]) -> str:
        return f"{self.hub.endpoint}/blob/{entry['oid']}"

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization'] or 'somebody'}/{wanted['name']}"
        status = 409 if name in self.hub.repositories else 200
        self.hub.repositories.setdefault(name, Repository(bool(wanted.get("private"))))
        self._answer(status, {"url": f"{self.hub.endpoint}/datasets/{name}"})

    def _preupload(self, _: Repository, body: bytes) -> dict[str, Any]:
        modes = {True: "lfs", False: "regular"}
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": modes[file["path"].endswith((".parquet", ".mp4"))],
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
        }

    def _commit(self, repository: Repository, body: bytes) -> dict[str, Any]:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.hub.large_files[value["oid"]]
            elif line["key"] == "deletedFile":
                del repository.files[value["path"]]
        repository.commits += 1
        # HfApi takes the address apart, and expects the hub of the environment in it
        url = f"{ENDPOINT}/datasets/{'/'.join(self._words()[2:4])}/commit/{repository.sha}"
        return {"commitUrl": url, "commitOid": repository.sha}

    def _tag(self, repository: Repository, body: bytes) -> dict[str, Any]:
        repository.tags.add(json.loads(body)["tag"])
        return {}

    def do_GET(self) -> None:
        words = [word for word in self._words() if word not in ("api", "datasets")]
        name = "/".join(words[:2])
        repository = self.hub.repositories.get(name)
        if repository is None or self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(404, {}, X_Error_Code="RepoNotFound")
        elif words[2:3] == ["resolve"]:
            self._file(repository, "/".join(words[4:]))
        elif words[2:3] == ["tree"]:
            files = repository.files.items()
            self._answer(200, [{"type": "file", "path": p, "size": len(c), "oid": "0"} for p, c in files])
        else:
            files_of = [{"rfilename": path} for path in repository.files]
            self._answer(
                200, {"id": name, "sha": repository.sha, "private": repository.private, "siblings": files_of}
            )

    def do_HEAD(self) -> None:
        self.do_GET()

    def _file(self, repository: Repository, path: str) -> None:
        if path == self.hub.refused:
            self._answer(403, {})
            return
        content = repository.files[path]
        if self.command == "GET":
            self.hub.fetched[path] += 1
        digest = hashlib.sha256(content).hexdigest()
        self._answer(200, content, ETag=f'"{digest}"', X_Repo_Commit=repository.sha)
