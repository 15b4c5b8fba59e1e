# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Servers, clients and credentials for tests of the remote policy; all on the loopback interface."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc", reason="needs the extra `server`")

from .fake_server import FakeModel, fake_server  # noqa: E402

TOKEN = "a1" * 16


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """Starts fake servers, which are stopped at the end."""
    servers: list[Any] = []

    def start(*arguments: Any, **settings: Any) -> Any:
        servers.append(fake_server(*arguments, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop(0.1)


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files of server and robot, for 127.0.0.1, made as docs/policy_server.md says."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("credentials")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for name in ("server", "client"):
        subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(
            [openssl, "req", "-x509", *new_key, *subject, *files], cwd=folder, check=True, capture_output=True
        )
    (folder / "token").write_text(TOKEN)
    shutil.copy(folder / "server.pem", folder / "ca.pem")
    shutil.copy(folder / "client.pem", folder / "clients.pem")
    return folder


@pytest.fixture
def part(credentials: Path, tmp_path: Path) -> Callable[..., str]:
    """`part(name, *files)`: a folder with some of the credentials."""

    def copy(name: str, *files: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        for file in files:
            shutil.copy(credentials / file, folder)
        return str(folder)

    return copy
