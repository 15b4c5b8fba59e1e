# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may use a policy server: addresses, TLS, token, client certificates, limits.

On this computer (a loopback address) nothing is needed. Any other address needs a folder of credentials:

    server: server.pem, server.key, and token or clients.pem (certificates that have signed those of clients)
    robot:  ca.pem (the certificate that has signed the server's), and token or client.pem and client.key
"""

from __future__ import annotations

import hmac
import ipaddress
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc

INSECURE = "insecure"  # in place of a folder: neither encrypted nor restricted
MIN_TOKEN = 16  # characters
MAX_HOSTS = 1024  # whose rate is known
HEALTH = "/grpc.health.v1.Health/"

Handler = Any  # grpc.RpcMethodHandler
Channel = Any  # grpc.Channel


class AccessError(ValueError):
    """An address or its credentials cannot be used; the message names them and the remedy."""


def is_this_computer(address: str) -> bool:
    """Whether host:port is a loopback address; raises AccessError if it is no address."""
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AccessError(f"address '{address}': {error}") from error
    if not host or port is None or parts.netloc != address or "@" in address:
        raise AccessError(f"address '{address}': expected host:port, such as 127.0.0.1:50051")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def server_credentials(address: str, folder: str, insecure: bool) -> tuple[Any, str]:
    """grpc.ServerCredentials, or None without TLS, and the token, or "" without one; raises AccessError."""
    if not folder:
        if not is_this_computer(address) and not insecure:
            raise AccessError(
                f"address {address} can be reached by other computers: give --credentials, a folder with server.pem, "
                "server.key, and token or clients.pem; or --insecure, with which anybody who reaches the address can "
                "use the policy, and images cross the network for all to see"
            )
        return None, ""
    key_and_certificate = _read(folder, "server.key"), _read(folder, "server.pem")
    clients, token = _read_if_there(folder, "clients.pem"), _token(folder)
    if not clients and not token:
        raise AccessError(f"'{folder}' needs token or clients.pem, or every client would be served")
    credentials = grpc.ssl_server_credentials(
        [key_and_certificate], root_certificates=clients, require_client_auth=clients is not None
    )
    return credentials, token


def open_channel(address: str, credentials: str, options: list[tuple[str, int]]) -> Channel:
    """A channel to a server; `credentials`: a folder, INSECURE, or empty for this computer. Raises AccessError."""
    is_near = is_this_computer(address)
    if credentials == INSECURE or (not credentials and is_near):
        return grpc.insecure_channel(address, options)
    if not credentials:
        raise AccessError(
            f"server {address} is another computer: give credentials, a folder with ca.pem, and token or client.pem "
            f"and client.key; or the word {INSECURE}, with which all in the network can see the images and answer in "
            "its place"
        )
    certificate = _read_if_there(credentials, "client.pem")
    key = _read(credentials, "client.key") if certificate else None
    secured = grpc.ssl_channel_credentials(_read(credentials, "ca.pem"), key, certificate)
    token = _token(credentials)
    if token:
        secured = grpc.composite_channel_credentials(secured, grpc.access_token_call_credentials(token))
    elif not certificate:
        raise AccessError(f"'{credentials}' needs token, or client.pem and client.key")
    return grpc.secure_channel(address, secured, options)


class TokenCheck(grpc.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls without the token, except those to the health service."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    def intercept_service(self, continuation: Callable[[Any], Handler], details: Any) -> Handler:
        given = dict(details.invocation_metadata).get("authorization", "")
        if details.method.startswith(HEALTH) or hmac.compare_digest(str(given).encode(), self._expected):
            return continuation(details)
        return grpc.unary_unary_rpc_method_handler(_without_token)


def _without_token(_request: Any, context: Any) -> None:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or wrong")


class RateLimit:
    """At most `rate_hz` requests a second from each host, in the mean of a second; times are monotonic. For threads."""

    def __init__(self, rate_hz: float) -> None:
        self._lock = threading.Lock()
        self._rate_hz = rate_hz
        self._left: dict[
            str, tuple[float, float]
        ] = {}  # host -> requests that are left, and when they were counted

    def admits(self, peer: str, now_s: float) -> bool:
        """Whether a request is within the limit; `peer` as grpc names it, such as ipv4:10.0.0.2:40012."""
        host = peer.rpartition(":")[0]
        with self._lock:
            left, counted_s = self._left.pop(host, (self._rate_hz, now_s))
            left = min(left + (now_s - counted_s) * self._rate_hz, self._rate_hz)
            admitted = left >= 1.0
            self._left[host] = (left - admitted, now_s)
            if len(self._left) > MAX_HOSTS:
                del self._left[next(iter(self._left))]  # the one that has not asked for longest
        return admitted


def _token(folder: str) -> str:
    """The token in a folder, "" without one; raises AccessError for one that could be guessed."""
    token = (_read_if_there(folder, "token") or b"").decode("ascii", "replace").strip()
    if token and (len(token) < MIN_TOKEN or not token.isalnum()):
        raise AccessError(
            f"'{folder}/token': expected {MIN_TOKEN} or more letters and digits: openssl rand -hex 32"
        )
    return token


def _read_if_there(folder: str, name: str) -> bytes | None:
    return _read(folder, name) if Path(folder, name).exists() else None


def _read(folder: str, name: str) -> bytes:
    try:
        return Path(folder, name).read_bytes()
    except OSError as error:
        raise AccessError(f"credentials: '{folder}/{name}' cannot be read: {error.strerror}") from error
