# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor receives a task that is published once, whatever else runs; the recorder gets it from the executor."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from smolvla_ros.nodes.fast_dds import PROFILE, RANGE

TASKS = 50
# What `ros2 topic pub --once -w 1 --keep-alive 1 task std_msgs/msg/String` of Jazzy does: 0.5 s for discovery, a
# publisher, a look every 0.1 s whether one subscriber is there, the message, 1 s in which it is sent again to one that
# discovers the publisher late (0.1 s by default, too short on a busy machine).
TOPIC_PUB_ONCE = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import String

def say(number):
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node(f"ros2cli_{number}", context=context, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    executor.spin_until_future_complete(rclpy.task.Future(), 0.5)
    publisher = node.create_publisher(String, "task", 10)
    while publisher.get_subscription_count() < 1:
        time.sleep(0.1)
    publisher.publish(String(data=f"task {number}"))
    time.sleep(1.0)
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown(context=context)

with ThreadPoolExecutor(10) as threads:
    list(threads.map(say, range(int(sys.argv[1]))))
"""


def test_each_of_fifty_tasks_published_once_is_received_while_the_recorder_runs(
    observer: Any, start: Any, tmp_path: Path
) -> None:
    """Published by processes with the default settings of Fast DDS, as in a user's shell."""
    start("nodes.recorder_node", output=tmp_path / "episodes", min_free_mb=1.0)
    executor = start("nodes.executor_node")
    observer.until(
        lambda: observer.node.count_subscribers("active_task") == 2,
        "the recorder to follow the executor and to record what it accepts",
    )
    shell = {name: value for name, value in os.environ.items() if name not in (PROFILE, RANGE)}
    said = subprocess.run(
        [sys.executable, "-c", TOPIC_PUB_ONCE, str(TASKS)],
        env=shell,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    everything = {f"task {number}" for number in range(TASKS)}
    observer.until(
        lambda: set(re.findall(r"task: '(task \d+)'", executor.output)) == everything,
        "all of them to be heard",
    )
