# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The settings of the console's server, of which parameters of its node are made."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from smolvla_ros.settings import SettingError, Settings, setting

RANDOM = "random"  # as a token: one is made at the start
MIN_TOKEN = 12  # characters


@dataclass(frozen=True)
class ServerConfig(Settings):
    """Where the server listens, and who may use it. Raises SettingError for a server that would be open to others."""

    host: str = setting("127.0.0.1", "address to listen on; 0.0.0.0: all of them, which needs a token")
    port: int = setting(
        8686, "port to listen on; another one if it is in use; 0: any free one", bounds=(0, 65535)
    )
    token: str = setting(
        "", f"what operators log in with; {RANDOM}: one is made and printed; empty: nothing, only on loopback"
    )
    view_token: str = setting("", f"what read-only viewers log in with, or {RANDOM}; empty: there are none")
    host_names: tuple[str, ...] = setting(
        (),
        "names under which browsers reach the server, beside localhost, this computer's name and IP addresses",
    )
    base_path: str = setting("", "path of the page behind a reverse proxy, such as /robot; empty: none")
    certificate: str = setting("", "TLS certificate (PEM) with which the server speaks https")
    certificate_key: str = setting("", "private key (PEM) of the certificate")
    stop_on_lost_operator: bool = setting(
        True, "stop the arm when the connection of the operator in control is lost"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.token and not is_loopback(self.host):
            raise SettingError(
                f"token: it is empty, and others can reach the host '{self.host}'; give a token, or {RANDOM}"
            )
        if self.view_token and not self.token:
            raise SettingError("view_token: without a token everybody is an operator; give a token too")
        if self.token and self.token == self.view_token != RANDOM:
            raise SettingError("view_token: it is the token of operators; give another one")
        for name in ("token", "view_token"):
            token = getattr(self, name)
            if token and token != RANDOM and len(token) < MIN_TOKEN:
                raise SettingError(
                    f"{name}: it is shorter than {MIN_TOKEN} characters; give more, or {RANDOM}"
                )
        if self.base_path and (not self.base_path.startswith("/") or self.base_path.endswith("/")):
            raise SettingError(f"base_path: '{self.base_path}' does not have the form /robot")
        if bool(self.certificate) != bool(self.certificate_key):
            raise SettingError("certificate and certificate_key: give both or none")


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach a server that listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
