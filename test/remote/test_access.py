# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which addresses and credentials a policy server and its clients accept."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smolvla_ros.remote.access import (
    MAX_HOSTS,
    AccessError,
    RateLimit,
    is_this_computer,
    open_channel,
    server_credentials,
)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:50051", "[::1]:50051", "127.8.8.8:0"])
def test_loopback_addresses_need_nothing(address: str) -> None:
    assert is_this_computer(address)
    assert server_credentials(address, "", insecure=False) == (None, "")
    open_channel(address, "", []).close()


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "[::]:50051", "192.168.1.5:50051", "gpu.local:50051"])
def test_other_addresses_are_refused_without_credentials(address: str) -> None:
    assert not is_this_computer(address)
    with pytest.raises(AccessError, match="can be reached by other computers: give --credentials"):
        server_credentials(address, "", insecure=False)
    assert server_credentials(address, "", insecure=True) == (None, "")
    with pytest.raises(AccessError, match="another computer: give credentials"):
        open_channel(address, "", [])


@pytest.mark.parametrize(
    "address", ["", "50051", "localhost", "localhost:", "host:port", "host:70000", "a@b:1", "host:1/x"]
)
def test_what_is_no_address_is_named(address: str) -> None:
    with pytest.raises(AccessError, match="address"):
        is_this_computer(address)


def test_incomplete_credentials_are_named(tmp_path: Path) -> None:
    for name in ("server.key", "server.pem"):
        with pytest.raises(AccessError, match=f"{name}' cannot be read"):
            server_credentials("0.0.0.0:1", str(tmp_path), insecure=False)
        (tmp_path / name).write_text("not looked at yet")
    with pytest.raises(AccessError, match="needs token or clients.pem"):
        server_credentials("0.0.0.0:1", str(tmp_path), insecure=False)
    (tmp_path / "token").write_text("guess\n")
    with pytest.raises(AccessError, match="16 or more letters and digits"):
        server_credentials("0.0.0.0:1", str(tmp_path), insecure=False)
    with pytest.raises(AccessError, match="ca.pem' cannot be read"):
        open_channel("gpu:1", str(tmp_path), [])


def test_each_host_has_a_rate_of_its_own() -> None:
    limit = RateLimit(10.0)
    admitted = [limit.admits(f"ipv4:10.0.0.2:{port}", port * 1e-3) for port in range(1000)]
    assert sum(admitted) == pytest.approx(10 + 10, abs=1)  # what one second allows, and that second
    assert limit.admits("ipv4:10.0.0.3:1", 1.0)
    for host in range(2 * MAX_HOSTS):
        assert limit.admits(f"ipv6:%5B{host}%5D:1", 1.0)
    assert len(limit._left) == MAX_HOSTS


def test_the_rate_of_a_host_is_that_of_all_its_connections() -> None:
    limit, connections = RateLimit(10.0), 4
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads meet in the middle of a decision
    try:
        with ThreadPoolExecutor(connections) as pool:
            asked = [
                pool.submit(lambda: sum(limit.admits("ipv4:10.0.0.2:1", 0.0) for _ in range(10_000)))
                for _ in range(connections)
            ]
    finally:
        sys.setswitchinterval(interval_s)
    assert sum(each.result() for each in asked) == 10
