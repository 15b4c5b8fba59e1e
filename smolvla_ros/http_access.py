# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which requests the web servers of this package answer, by the headers Host and Origin.

Host: a page of another site can give its own name our address (DNS rebinding), but then its name is the Host. Origin: a
browser names the site whose page makes a request. So both are checked, and what no browser sends is refused too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit


class AccessError(PermissionError):
    """A request is refused; the message says why, and `status` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def check_host(host: str, names: Collection[str] = ("localhost",), remedy: str = "") -> None:
    """Raise AccessError unless a Host header has an IP address or one of these names, in lower case.

    remedy: what else the message says.
    """
    name = _host_name(host)
    if name not in names and not _is_ip_address(name):
        known = ", ".join(sorted(names))
        raise AccessError(
            403, f"this server does not have the name in the address; write {known} or its IP address{remedy}"
        )


def check_origin(origin: str, host: str) -> None:
    """Raise AccessError unless an Origin header names the site that the Host header names."""
    scheme, _, site = origin.partition("://")
    if scheme not in ("http", "https") or site.lower() != host.lower():
        raise AccessError(403, "this request does not come from the page of this server")


def _host_name(host: str) -> str:
    """The name in a Host header, without the port; empty for one that is not valid."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
