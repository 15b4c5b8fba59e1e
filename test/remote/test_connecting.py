# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot connects to a policy server: what will never work is an error that says why, what may come is waited for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from smolvla_ros.policy.policy import PolicyError, PolicyUnavailableError
from smolvla_ros.remote import protocol
from smolvla_ros.remote.client import RemoteModel

from .fake_server import FakeModel

ROBOT = ("ca.pem", "token")
SERVER = ("server.pem", "server.key", "token")
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
