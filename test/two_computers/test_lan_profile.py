# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes of two computers on a line that loses packets: no IP fragments, and what is lost comes soon after."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from smolvla_ros.nodes.fast_dds import RANGE, fast_dds_settings

from .namespaces import NoNamespacesError, two_computers
from .relay import Line, relayed

pytest.importorskip("rclpy", reason="it runs nodes")

MESSAGES, SIZE = 60, 20_000
# Both nodes have one clock.
PUBLISHER = """
import sys, time, rclpy
from rclpy.qos import QoSProfile
from std_msgs.msg import String
rclpy.init()
node = rclpy.create_node("publisher")
publisher = node.create_publisher(String, "text", QoSProfile(depth=100))
while not publisher.get_subscription_count():
    time.sleep(0.02)
for _ in range(int(sys.argv[1])):
    publisher.publish(String(data=str(time.monotonic()).ljust(int(sys.argv[2]))))
    time.sleep(0.05)
time.sleep(60.0)  # it is killed when all has come
"""
SUBSCRIBER = """
import json, os, sys, time, rclpy
from rclpy.qos import QoSProfile
from std_msgs.msg import String
rclpy.init()
node = rclpy.create_node("subscriber")
ages_s, deadline_s = [], time.monotonic() + 40.0
def hear(message):
    ages_s.append(time.monotonic() - float(message.data))
node.create_subscription(String, "text", hear, QoSProfile(depth=100))
while len(ages_s) < int(sys.argv[1]) and time.monotonic() < deadline_s:
    rclpy.spin_once(node, timeout_sec=0.1)
print(json.dumps(ages_s), flush=True)
os._exit(0)  # threads of Fast DDS can keep a process from ending
"""


def test_what_a_line_loses_comes_soon_after_in_packets_that_are_not_fragmented() -> None:
    opened = {name: value for name, value in os.environ.items() if name != RANGE} | {"ROS_DOMAIN_ID": "1"}
    opened |= fast_dds_settings(opened, "lan")
    line = Line(delay_s=0.01, loss=0.05)
    try:
        with two_computers() as (first, second), relayed(first, second, line) as relay:
            publisher = subprocess.Popen(
                first.command(sys.executable, "-c", PUBLISHER, str(MESSAGES), str(SIZE)),
                env=opened,
            )
            subscriber = second.command(sys.executable, "-c", SUBSCRIBER, str(MESSAGES))
            try:
                heard = subprocess.check_output(subscriber, env=opened, text=True)
            finally:
                publisher.kill()
                publisher.wait()
            counts = relay.counts
    except NoNamespacesError as error:
        pytest.skip(str(error))
    ages_s = json.loads(heard)
    assert len(ages_s) == MESSAGES and counts.lost > 10
    assert np.median(ages_s) < 0.5 and max(ages_s) < 2.0  # by default a heartbeat comes every 3 s
    assert counts.largest < 1500
