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

from smolvla_ros.nodes.fast_dds import PROFILE, RANGE, fast_dds_settings

from .namespaces import NoNamespacesError, two_computers
from .relay import Line, relayed

pytest.importorskip("rclpy", reason="it runs nodes")

MESSAGES, SIZE = 60, 20_000
FIRST = 20  # further messages: the first ones may have been sent before the two had discovered each other
# Both nodes have one clock. The publisher goes on until it is killed: the subscriber may discover it late.
PUBLISHER = """
import itertools, sys, time, rclpy
from rclpy.qos import QoSProfile
from std_msgs.msg import String
rclpy.init()
node = rclpy.create_node("publisher")
publisher = node.create_publisher(String, "text", QoSProfile(depth=100))
for number in itertools.count():
    publisher.publish(String(data=f"{number} {time.monotonic()}".ljust(int(sys.argv[1]))))
    time.sleep(0.05)
"""
SUBSCRIBER = """
import json, os, sys, time, rclpy
from rclpy.qos import QoSProfile
from std_msgs.msg import String
rclpy.init()
node = rclpy.create_node("subscriber")
heard, deadline_s = [], time.monotonic() + 40.0
def hear(message):
    number, sent_s = message.data.split()
    heard.append((int(number), time.monotonic() - float(sent_s)))
node.create_subscription(String, "text", hear, QoSProfile(depth=100))
while len(heard) < int(sys.argv[1]) and time.monotonic() < deadline_s:
    rclpy.spin_once(node, timeout_sec=0.1)
print(json.dumps(heard), flush=True)
os._exit(0)  # threads of Fast DDS can keep a process from ending
"""


def test_what_a_line_loses_comes_soon_after_in_packets_that_are_not_fragmented() -> None:
    # what nodes of other tests have set in this process
    opened = {name: value for name, value in os.environ.items() if name not in (RANGE, PROFILE)}
    opened["ROS_DOMAIN_ID"] = "1"
    opened |= fast_dds_settings(opened, "lan")
    line = Line(delay_s=0.01, loss=0.05)
    try:
        with two_computers() as (first, second), relayed(first, second, line) as relay:
            publisher = subprocess.Popen(
                first.command(sys.executable, "-c", PUBLISHER, str(SIZE)),
                env=opened,
            )
            subscriber = second.command(sys.executable, "-c", SUBSCRIBER, str(FIRST + MESSAGES))
            try:
                heard = subprocess.check_output(subscriber, env=opened, text=True)
            finally:
                publisher.kill()
                publisher.wait()
            counts = relay.counts
    except NoNamespacesError as error:
        pytest.skip(str(error))
    numbers, ages_s = np.array(json.loads(heard)[FIRST:]).reshape(-1, 2).T
    assert len(numbers) == MESSAGES and (np.diff(numbers) == 1).all() and counts.lost > 10
    assert np.median(ages_s) < 0.5 and max(ages_s) < 2.0  # by default a heartbeat comes every 3 s
    assert counts.largest < 1500
