# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How steadily commands leave the executor and joint states the arm while inference loads every core.

The whole simulated suite runs (emulated servo bus, two rendered cameras, a small SmolVLA), and beside it a process
that does nothing but infer on all cores, at the niceness that the policy node gives its inference. The baseline runs
in the same minute at the executor's priority: a process that sleeps to the same deadlines and does nothing else.
Times are DDS source timestamps, taken when a message is written.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from std_msgs.msg import String

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.policy_loading import PolicyConfig
from smolvla_ros.suite import PACKAGE, SuiteOptions, suite_nodes
from smolvla_ros.tools.demo_checkpoint import main as make_checkpoint
from smolvla_ros.tools.demo_plan import free_domain
from smolvla_ros.tools.processes import Processes

RATE_HZ = 30.0
SETTLE_S = 10.0  # the processes beside the suite load torch and the checkpoint meanwhile


def bare_loop(until_s: float, results: Any) -> None:
    """Sleep to absolute deadlines and note when each was met."""
    times, deadline_s = [], time.monotonic()
    while deadline_s < until_s:
        time.sleep(max(0.0, deadline_s - time.monotonic()))
        times.append(time.time_ns())
        deadline_s += 1.0 / RATE_HZ
    results.put(times)


def infer_forever(checkpoint: str, niceness: int, until_s: float, results: Any) -> None:
    """Load all cores with inference; says how many chunks it made."""
    os.nice(niceness)
    from smolvla_ros.policy import SmolVLA

    policy = SmolVLA.from_pretrained(checkpoint)
    images = {key: np.zeros((480, 640, 3), np.uint8) for key in policy.image_keys}
    chunks = 0
    while time.monotonic() < until_s:
        policy.predict_chunk(images, np.zeros(policy.state_dim, np.float32), "pick up the red cube")
        chunks += 1
    results.put(chunks)


def period_errors_ms(times_ns: list[int], rate_hz: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.abs(np.diff(times_ns) - 1e9 / rate_hz) / 1e6


def report(name: str, times_ns: list[int], rate_hz: float, starts_ns: int) -> float:
    times_ns = [stamp for stamp in times_ns if stamp >= starts_ns]
    errors = period_errors_ms(times_ns, rate_hz)
    rate = (len(times_ns) - 1) / (times_ns[-1] - times_ns[0]) * 1e9
    p50, p99 = np.percentile(errors, [50, 99])
    print(f"| {name} | {rate:.2f} | {p50:.3f} | {p99:.3f} | {errors.max():.2f} |")
    return float(p99)


class Watch:
    """Notes when commands and joint states were written, while the suite follows a task."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = Node("bench")
        self.commands = self._note(topics.JOINT_COMMANDS)
        self.joint_states = self._note(topics.JOINT_STATES)

    def _note(self, topic: topics.Topic) -> list[int]:
        stamps: list[int] = []
        self.node.create_subscription(
            topic.type, topic.name, lambda _, info: stamps.append(info["source_timestamp"]), topic.subscribe
        )
        return stamps

    def start_task(self) -> None:
        """Tell the executor what to do and wait until the arm follows."""
        task = self.node.create_publisher(topics.TASK.type, topics.TASK.name, topics.TASK.publish)
        while not task.get_subscription_count():
            rclpy.spin_once(self.node, timeout_sec=0.1)
        task.publish(String(data="pick up the red cube"))
        while len(self.commands) < RATE_HZ:
            rclpy.spin_once(self.node, timeout_sec=0.1)

    def spin_until(self, until_s: float) -> None:
        while time.monotonic() < until_s:
            rclpy.spin_once(self.node, timeout_sec=0.1)

    def close(self) -> None:
        self.node.destroy_node()
        rclpy.try_shutdown()


def measure(checkpoint: str, processes: Processes, niceness: int, seconds: float) -> None:
    """Run suite, load and baseline together; print the table."""
    for spec in suite_nodes(SuiteOptions(sim=True, checkpoint=checkpoint)):
        if spec.package == PACKAGE:
            processes.start(spec)
    watch = Watch()
    watch.start_task()
    spawn = multiprocessing.get_context("spawn")
    chunks, bare_times = spawn.Queue(), spawn.Queue()
    until_s = time.monotonic() + SETTLE_S + seconds
    starts_ns = time.time_ns() + round(SETTLE_S * 1e9)
    beside = [
        spawn.Process(target=infer_forever, args=(checkpoint, niceness, until_s, chunks)),
        spawn.Process(target=bare_loop, args=(until_s, bare_times)),
    ]
    for process in beside:
        process.start()
    watch.spin_until(until_s)
    processes.check()
    watch.close()

    print(f"\n{seconds:.0f} s, {os.cpu_count()} cores, {chunks.get()} chunks inferred beside the suite\n")
    print("| loop | rate (Hz) | period error p50 (ms) | p99 (ms) | max (ms) |")
    print("|---|---|---|---|---|")
    baseline = report("bare sleep loop", bare_times.get(), RATE_HZ, starts_ns)
    commands = report("executor_node, commands", watch.commands, RATE_HZ, starts_ns)
    report("arm_node, joint states", watch.joint_states, 50.0, starts_ns)
    print(f"\np99 of commands / bare loop: {commands / baseline:.2f} (to be under 1.5)")
    for process in beside:
        process.join()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--niceness", type=int, default=PolicyConfig.niceness, help="of the load")
    options = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(free_domain())
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = str(Path(folder) / "checkpoint")
        make_checkpoint([checkpoint])
        processes = Processes(Path(folder))
        try:
            measure(checkpoint, processes, options.niceness, options.seconds)
        finally:
            processes.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
