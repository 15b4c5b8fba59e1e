# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot connects to a policy server: what will never work is an error that says why, what may come is waited for."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
import numpy as np
import pytest

from smolvla_ros.image import encode_jpeg
from smolvla_ros.policy.policy import PolicyError, PolicyUnavailableError
from smolvla_ros.remote import protocol
from smolvla_ros.remote.client import RemoteModel

from .fake_server import JOINTS, FakeModel

ROBOT = ("ca.pem", "token")
SERVER = ("server.pem", "server.key", "token")
IMAGES = {"camera1": encode_jpeg(np.zeros((8, 8, 3), np.uint8))}
CONNECTING_S = 0.3  # of a line on which connecting takes longer than a robot waits for a chunk
Serve, Part = Callable[..., Any], Callable[..., str]


@pytest.fixture
def connect() -> Iterator[Callable[[Any], Any]]:
    """`connect(server)`: a connection of its own; its result asks for a description."""
    channels: list[Any] = []

    def connected(server: Any) -> Any:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels.append(grpc.insecure_channel(f"127.0.0.1:{server.port}", options))
        ask = channels[-1].unary_unary(protocol.DESCRIBE)
        ask(b"", timeout=5.0)
        return ask

    yield connected
    for channel in channels:
        channel.close()


def reason(address: str, credentials: str = "") -> str:
    """Why a robot cannot use a server, which no waiting changes."""
    with pytest.raises(PolicyError) as caught:
        RemoteModel([address], credentials)
    assert not isinstance(caught.value, PolicyUnavailableError)
    return str(caught.value)


def test_refused_credentials_are_named(serve: Serve, part: Part, credentials: Any) -> None:
    secured = f"127.0.0.1:{serve(FakeModel(), credentials=part('server', *SERVER)).port}"
    assert "it wants TLS, so that credentials are needed" in reason(secured)
    robot = part("robot", *ROBOT)
    assert "its certificate is not for this address" in reason(
        secured.replace("127.0.0.1", "localhost"), robot
    )
    plain = f"127.0.0.1:{serve(FakeModel()).port}"
    assert "or it has no TLS" in reason(plain, robot)
    stranger = part("stranger", *ROBOT)
    with open(f"{stranger}/ca.pem", "wb") as file:
        file.write((credentials / "client.pem").read_bytes())
    assert "ca.pem is not of this server" in reason(secured, stranger)
    named = part("named", "server.pem", "server.key", "clients.pem")
    with_certificates = f"127.0.0.1:{serve(FakeModel(), credentials=named).port}"
    assert "does not know this robot's certificate" in reason(with_certificates, robot)


def test_a_name_that_is_not_known_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the name 'nobody.invalid' is not known" in reason("nobody.invalid:50051", "insecure")

    def no_network(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(PolicyUnavailableError, match=r"--address 0\.0\.0\.0:50051 --credentials FOLDER"):
        RemoteModel(["nobody.invalid:50051"], "insecure")


def test_a_server_of_something_else_is_an_error() -> None:
    other = grpc.server(ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    try:
        assert "it is no policy server" in reason(f"127.0.0.1:{port}")
    finally:
        other.stop(0.0)


def test_a_server_that_listens_but_does_not_answer_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PolicyUnavailableError, match=f"no policy server answers .{address}"):
            RemoteModel([address])


def test_beyond_the_limit_of_connections_a_robot_is_refused_and_the_others_go_on(
    serve: Serve, connect: Callable[[Any], Any]
) -> None:
    server = serve(FakeModel(), max_connections=2)
    served = [connect(server) for _ in range(2)]
    for _ in range(2):
        assert "the most connections that it accepts (--max-connections)" in reason(
            f"127.0.0.1:{server.port}"
        )
        assert all(ask(b"", timeout=5.0) for ask in served)


def ask(remote: RemoteModel) -> None:
    remote.predict_chunk(IMAGES, np.zeros(JOINTS, np.float32), "wipe")


def ask_until_answered(remote: RemoteModel) -> None:
    until_s = time.monotonic() + 5.0
    while True:
        try:
            ask(remote)
            return
        except PolicyUnavailableError:
            assert time.monotonic() < until_s


def time_out(remote: RemoteModel, model: FakeModel) -> None:
    model.held.clear()
    with pytest.raises(PolicyUnavailableError):
        ask(remote)
    model.held.set()


def slow_line(port: int, connections: list[Any]) -> int:
    """The port of a line to a local one; only its connections come late."""
    line = socket.create_server(("127.0.0.1", 0))
    connections.append(line)

    def pass_on(source: Any, target: Any) -> None:
        with suppress(OSError):  # one side has closed it
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def connect(client: Any) -> None:
        time.sleep(CONNECTING_S)
        with suppress(OSError):  # the end of the test
            server = socket.create_connection(("127.0.0.1", port))
            connections.append(server)
            threading.Thread(target=pass_on, args=(server, client), daemon=True).start()
            pass_on(client, server)

    def accept() -> None:
        with suppress(OSError):  # the end of the test
            while True:
                client, _ = line.accept()
                connections.append(client)
                threading.Thread(target=connect, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(line.getsockname()[1])


def test_a_connection_that_takes_longer_than_a_chunk_is_made(
    serve: Serve, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smolvla_ros.remote.client.RECONNECT_S", 2 * CONNECTING_S)
    connections: list[Any] = []
    try:
        remote = RemoteModel([f"127.0.0.1:{slow_line(serve(model).port, connections)}"], "", CONNECTING_S / 2)
        ask_until_answered(remote)
        time.sleep(2 * CONNECTING_S)
        time_out(remote, model)  # so that the robot connects anew
        ask_until_answered(remote)
    finally:
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def test_a_robot_goes_on_when_its_credentials_were_away_for_a_while(
    serve: Serve, part: Part, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smolvla_ros.remote.client.RECONNECT_S", 0.0)
    robot = part("robot", *ROBOT)
    port = serve(model, credentials=part("server", *SERVER)).port
    remote = RemoteModel([f"127.0.0.1:{port}"], robot, 0.5)
    ask_until_answered(remote)
    away = shutil.move(robot, f"{robot}-away")
    time_out(remote, model)
    shutil.move(away, robot)
    ask_until_answered(remote)
