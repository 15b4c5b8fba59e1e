# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fast DDS settings without shared memory, so that a killed process cannot make others unreachable.

Its shared-memory transport keeps a lock in the receiver's port, and a process that is killed while it holds the lock
leaves it locked (github.com/eProsima/Fast-DDS/issues/5469). config/fastdds.xml leaves shared memory out. rmw_fastrtps
adds it again for ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, whatever the profile says; in that case
config/fastdds_localhost.xml, which binds the sockets to the loopback interface, keeps this process on this machine.
Processes with other settings on this machine, those of `ros2 topic` for instance, reach it in both cases.
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


def set_fast_dds() -> None:
    """Add `fast_dds_settings` to the environment of this process; call it before rclpy.init."""
    settings = fast_dds_settings(os.environ)
    if RANGE in settings and os.environ.get(STATIC_PEERS):
        print(
            f"{STATIC_PEERS}={os.environ[STATIC_PEERS]} has no effect with {RANGE}=LOCALHOST; set {RANGE}=SUBNET",
            file=sys.stderr,
        )
    os.environ.update(settings)


def fast_dds_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Environment variables to add to `environment`.

    None for another middleware, and if FASTRTPS_DEFAULT_PROFILES_FILE names a profile already. Raises
    InstallationError when the package is installed without its profiles.
    """
    if environment.get(PROFILE) or "fastrtps" not in (environment.get("RMW_IMPLEMENTATION") or "fastrtps"):
        return {}
    config = share_folder() / "config"
    if environment.get(RANGE) != "LOCALHOST" and environment.get(LOCALHOST_ONLY) != "1":
        return {PROFILE: str(config / "fastdds.xml")}
    # SYSTEM_DEFAULT: the discovery that the profile describes
    settings = {PROFILE: str(config / "fastdds_localhost.xml"), RANGE: "SYSTEM_DEFAULT"}
    return settings | ({LOCALHOST_ONLY: ""} if LOCALHOST_ONLY in environment else {})
