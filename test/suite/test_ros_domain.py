# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A ROS domain that is in use or reserved is not given to another process."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from smolvla_ros.suite import ros_domain
from smolvla_ros.suite.ros_domain import NoFreeDomainError, reserve_domain_id


def test_a_domain_in_use_or_reserved_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    in_use, reserved, free = (reserve_domain_id() for _ in range(3))
    for reservation in ros_domain._reservations[-3::2]:
        reservation.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", ros_domain.FIRST_PORT + ros_domain.PORTS_PER_DOMAIN * in_use))
        monkeypatch.setattr(ros_domain.random, "sample", lambda *_: [in_use, reserved, free])
        assert reserve_domain_id() == free
        with pytest.raises(NoFreeDomainError, match="every ROS domain"):
            reserve_domain_id()


def test_processes_that_ask_at_once_get_different_domains() -> None:
    code = "from smolvla_ros.suite.ros_domain import reserve_domain_id; print(reserve_domain_id(), flush=True); input()"
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    domains = [process.stdout.readline() for process in asking if process.stdout]
    for process in asking:
        process.communicate("\n", timeout=10.0)
    assert len(set(domains)) == len(asking) and "" not in domains
