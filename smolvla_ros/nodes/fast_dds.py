# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fast DDS settings that say who can reach a node, and that use no shared memory.

By default only this computer: config/fastdds_localhost.xml binds all sockets to the loopback interface. To limit
discovery alone, as ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST does, leaves sockets open on all interfaces: who names this
computer in ROS_STATIC_PEERS finds every node. Processes of this computer with other settings, those of `ros2 topic` for
instance, reach the node: they send and listen on the loopback interface too.

The shared-memory transport of Fast DDS keeps a lock in the receiver's port, and a process that is killed while it holds
the lock leaves it locked (github.com/eProsima/Fast-DDS/issues/5469). The profiles in config/ leave shared memory out.
rmw_fastrtps adds it again for ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, whatever the profile says; so that variable
becomes SYSTEM_DEFAULT.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from smolvla_ros.share import share_folder

PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
LOCALHOST_ONLY = "ROS_LOCALHOST_ONLY"  # deprecated in Jazzy; overrides RANGE
STATIC_PEERS = "ROS_STATIC_PEERS"
RANGES = {"local": "LOCALHOST", "lan": "SUBNET"}  # who can reach the nodes -> value of RANGE
LOCAL_PROFILE, LAN_PROFILE = "fastdds_localhost.xml", "fastdds_lan.xml"


def set_fast_dds() -> None:
    """Add `fast_dds_settings` to the environment of this process; call it before rclpy.init."""
    settings = fast_dds_settings(os.environ)
    if settings.get(PROFILE, "").endswith(LOCAL_PROFILE) and os.environ.get(STATIC_PEERS):
        print(
            f"{STATIC_PEERS}={os.environ[STATIC_PEERS]} has no effect on a node that only this computer can reach; "
            f"set {RANGE}=SUBNET",
            file=sys.stderr,
        )
    os.environ.update(settings)


def fast_dds_settings(environment: Mapping[str, str], network: str = "local") -> dict[str, str]:
    """Environment variables to add to `environment`.

    network: a key of RANGES; what `environment` says about discovery, or a profile that it names, takes precedence.
    Another middleware gets no profile. Raises InstallationError when the package is installed without its profiles.
    """
    if environment.get(PROFILE):
        return {}
    given = "LOCALHOST" if environment.get(LOCALHOST_ONLY) == "1" else environment.get(RANGE)
    discovery = given or RANGES[network]
    if "fastrtps" not in (environment.get("RMW_IMPLEMENTATION") or "fastrtps"):
        return {} if given else {RANGE: discovery}
    config = share_folder() / "config"
    if discovery not in ("LOCALHOST", "OFF"):
        return {PROFILE: str(config / LAN_PROFILE), RANGE: discovery}
    # SYSTEM_DEFAULT: the discovery that the profile describes
    settings = {
        PROFILE: str(config / LOCAL_PROFILE),
        RANGE: "OFF" if discovery == "OFF" else "SYSTEM_DEFAULT",
    }
    return settings | ({LOCALHOST_ONLY: ""} if LOCALHOST_ONLY in environment else {})
