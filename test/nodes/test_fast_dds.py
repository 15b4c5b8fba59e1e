# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A killed process makes no node unreachable, and all processes on this machine can reach the nodes.

The fixture `start` in conftest.py checks that no program of the suite uses shared memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.fast_dds import (
    LAN_PROFILE,
    LOCAL_PROFILE,
    LOCALHOST_ONLY,
    PROFILE,
    RANGE,
    fast_dds_settings,
    set_fast_dds,
)

from ..package_files import ROOT

OPEN = {PROFILE: str(ROOT / "config" / LAN_PROFILE)}
LOOPBACK = {
    PROFILE: str(ROOT / "config" / LOCAL_PROFILE),
    RANGE: "SYSTEM_DEFAULT",
}
WRITER = """
import pathlib, sys, time
import rclpy
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.fast_dds import set_fast_dds
set_fast_dds()
rclpy.init()
topic = topics.ACTION_CHUNK
node = rclpy.create_node("writer")
publisher = node.create_publisher(topic.type, topic.name, topic.publish)
chunk = pathlib.Path(sys.argv[1]).read_bytes()
while True:
    publisher.publish(chunk)
    time.sleep(0.0005)
"""


@pytest.mark.parametrize(
    ("environment", "network", "settings"),
    [
        ({}, "local", LOOPBACK),
        ({}, "lan", OPEN | {RANGE: "SUBNET"}),
        ({RANGE: "SUBNET", "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}, "local", OPEN | {RANGE: "SUBNET"}),
        ({RANGE: "SYSTEM_DEFAULT"}, "local", OPEN | {RANGE: "SYSTEM_DEFAULT"}),
        ({RANGE: "LOCALHOST"}, "lan", LOOPBACK),
        ({RANGE: "OFF"}, "lan", LOOPBACK | {RANGE: "OFF"}),
        ({LOCALHOST_ONLY: "1"}, "lan", LOOPBACK | {LOCALHOST_ONLY: ""}),
        ({RANGE: "LOCALHOST", PROFILE: "/home/me/mine.xml"}, "local", {}),
        ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, "local", {RANGE: "LOCALHOST"}),
        ({RANGE: "SUBNET", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, "local", {}),
    ],
)
def test_a_node_is_local_unless_it_is_opened_and_variables_of_the_user_win(
    environment: dict[str, str], network: str, settings: dict[str, str]
) -> None:
    assert fast_dds_settings(environment, network) == settings
    assert fast_dds_settings(environment | settings) == {}  # in a program that another one has started


def test_static_peers_that_have_no_effect_are_reported(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", {"ROS_STATIC_PEERS": "10.0.0.7"})
    set_fast_dds()
    assert capfd.readouterr().err.startswith("ROS_STATIC_PEERS=10.0.0.7 has no effect")


@pytest.mark.parametrize("profile", [OPEN, LOOPBACK], ids=["lan", "local"])
def test_the_profiles_are_valid_for_this_fast_dds(profile: dict[str, str]) -> None:
    probe = "import rclpy; rclpy.init(); rclpy.create_node('probe'); print(open('/proc/self/maps').read())"
    result = subprocess.run(
        [sys.executable, "-c", probe], env=os.environ | profile, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 0, result.stderr
    assert "XMLPARSER" not in result.stdout + result.stderr
    assert "/dev/shm/fastrtps" not in result.stdout


def test_nodes_are_reachable_after_publishers_were_killed_while_writing(
    executor_bench: Callable[..., Any], tmp_path: Path, kills: int
) -> None:
    """An executor, and the observer of this test; each writer is killed while it sends 2000 messages a second."""
    from rclpy.serialization import serialize_message

    bench = executor_bench(mode="armed")
    heard = bench.observer.collect(topics.ACTION_CHUNK)
    refused = {"not_finite": np.full((2, 6), np.nan), "implausible": np.full((2, 6), 1e9)}
    chunks = {reason: tmp_path / reason for reason in refused}
    for reason, positions in refused.items():
        chunks[reason].write_bytes(serialize_message(bench.chunk(positions, task=reason)))
    for number in range(kills):
        reason = list(refused)[number % 2]  # to distinguish its messages from those of the last one
        before = bench.rejected().get(reason, 0)
        heard.clear()
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(chunks[reason])])
        try:
            bench.observer.until(
                lambda reason=reason, before=before: (
                    bench.rejected().get(reason, 0) > before and any(chunk.task == reason for chunk in heard)
                ),
                f"executor and observer to be reached after {number} kills",
            )
            time.sleep(np.random.default_rng(number).uniform(0.0, 0.02))
        finally:
            writer.kill()
            writer.wait()
