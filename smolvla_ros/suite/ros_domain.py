# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chooses a ROS domain that no other process of this machine uses."""

from __future__ import annotations

import random
import socket

# DDS uses UDP ports: all participants of a domain listen at FIRST_PORT + PORTS_PER_DOMAIN * domain, and the first
# participant also at the port that is PARTICIPANT_PORT higher.
FIRST_PORT, PORTS_PER_DOMAIN, PARTICIPANT_PORT = 7400, 250, 10
_reservations: list[socket.socket] = []  # kept open until this process ends


class NoFreeDomainError(RuntimeError):
    """All ROS domains are in use."""


def reserve_domain_id() -> int:
    """A ROS domain, 1 to 100, that no process of this machine uses; raises NoFreeDomainError.

    It stays reserved until this process ends: this function returns it to no other process of this machine.
    """
    for domain in random.sample(range(1, 101), 100):
        if _reserve(domain):
            return domain
    raise NoFreeDomainError(
        "every ROS domain from 1 to 100 is in use on this machine; set ROS_DOMAIN_ID yourself"
    )


def _reserve(domain: int) -> bool:
    """Reserve a domain; False when another process has reserved it or takes part in it."""
    port = FIRST_PORT + PORTS_PER_DOMAIN * domain
    reservation = socket.socket(socket.AF_UNIX)
    try:
        # abstract: no file, released when the process ends
        reservation.bind(f"\0smolvla_ros/domain_{domain}")
        for used in (port, port + PARTICIPANT_PORT):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("", used))
    except OSError:
        reservation.close()
        return False
    _reservations.append(reservation)
    return True
