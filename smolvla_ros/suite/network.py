# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Says at the start who can reach the nodes."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from smolvla_ros.nodes.fast_dds import LAN_PROFILE, LOCAL_PROFILE, PROFILE, RANGE

SIOCGIFADDR = 0x8915  # linux/sockios.h: the IPv4 address of an interface


def who_can_reach(environment: Mapping[str, str], network: str = "") -> str:
    """One line about the nodes that are started with these environment variables, `fast_dds_settings` included.

    network: what the user has asked for, a key of RANGES; empty: nothing.
    """
    profile, discovery = environment.get(PROFILE, ""), environment.get(RANGE, "")
    if profile and Path(profile).name not in (LOCAL_PROFILE, LAN_PROFILE):
        return f"network: as {PROFILE}={profile} says"
    is_local = Path(profile).name == LOCAL_PROFILE or discovery in ("LOCALHOST", "OFF")
    text = "network: only programs of this computer reach the nodes"
    if not is_local:
        text = (
            f"network: OPEN. Every computer that can send to {', '.join(addresses()) or 'this one'} can see the "
            "cameras, command the joints and arm the executor; ROS_DOMAIN_ID="
            f"{environment.get('ROS_DOMAIN_ID') or 0}, {RANGE}={discovery}"
        )
    if network and is_local != (network == "local"):
        text += f". {RANGE} takes precedence over network:={network}"
    return text


def addresses() -> list[str]:
    """`eth0 (192.168.1.5)` for each network interface with an IPv4 address, the loopback interface left out."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            request = array.array("B", struct.pack("256s", name.encode()))
            try:
                fcntl.ioctl(any_socket, SIOCGIFADDR, request)
            except OSError:  # it has no address
                continue
            address = socket.inet_ntoa(request[20:24].tobytes())
            if not address.startswith("127."):
                found.append(f"{name} ({address})")
    return found
