# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How steadily commands leave the executor and joint states the arm while inference loads every core.

The whole simulated suite runs (emulated servo bus, two rendered cameras, a small SmolVLA), and beside it a process
that does nothing but infer on all cores. The baseline runs in the same minute at the same priority: a process that sleeps to the same
deadlines and does nothing else. Times are DDS source timestamps, taken when a message is written.
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

RATE_HZ = 30.0
SETTLE_S = 3.0


def bare_loop(until_s: float, results: Any) -> None:
    """Sleep to absolute deadlines and note when each was met."""
    times, deadline_s = [], time.monotonic()
    while deadline_s < until_s:
        time.sleep(max(0.0, deadline_s - time.monotonic()))
        times.append(time.time_ns())
        deadline_s += 1.0 / RATE_HZ
    results.put(times)


def infer_forever(checkpoint: str, until_s: float, results: Any) -> None:
    """Load all cores with inference; says how many chunks it made."""
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


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)

    import rclpy
    from rclpy.node import Node
    from std_msgs.msg import String

    from smolvla_ros.nodes import topics
    from smolvla_ros.suite import PACKAGE, SuiteOptions, suite_nodes
    from smolvla_ros.tools.demo_checkpoint import main as make_checkpoint
    from smolvla_ros.tools.processes import Processes

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = str(Path(folder) / "checkpoint")
        make_checkpoint([checkpoint])
        options = SuiteOptions(sim=True, checkpoint=checkpoint, port=str(Path(folder) / "arm"))
        processes = Processes(Path(folder))
        try:
            for spec in suite_nodes(options):
                if spec.package == PACKAGE:
                    processes.start(spec)
            rclpy.init()
            node = Node("bench")
            written: dict[str, list[int]] = {"commands": [], "joint states": []}
            for name, topic in (("commands", topics.JOINT_COMMANDS), ("joint states", topics.JOINT_STATES)):
                stamps = written[name]

                def keep(_message: Any, info: Any, stamps: list[int] = stamps) -> None:
                    stamps.append(info["source_timestamp"])

                node.create_subscription(topic.type, topic.name, keep, topic.subscribe)
            task = node.create_publisher(String, "task", topics.TASK.publish)
            while not task.get_subscription_count():
                rclpy.spin_once(node, timeout_sec=0.1)
            task.publish(String(data="pick up the red cube"))
            while len(written["commands"]) < RATE_HZ:
                rclpy.spin_once(node, timeout_sec=0.1)

            spawn = multiprocessing.get_context("spawn")
            results = [spawn.Queue(), spawn.Queue()]
            until_s = time.monotonic() + 5.0 + SETTLE_S + seconds
            load = spawn.Process(target=infer_forever, args=(checkpoint, until_s, results[0]))
            bare = spawn.Process(target=bare_loop, args=(until_s, results[1]))
            load.start()
            bare.start()
            starts_ns = time.time_ns() + round((5.0 + SETTLE_S) * 1e9)
            while time.monotonic() < until_s:
                rclpy.spin_once(node, timeout_sec=0.1)
            chunks, bare_times = results[0].get(), results[1].get()
            load.join()
            bare.join()
            processes.check()
            node.destroy_node()
            rclpy.try_shutdown()
        finally:
            processes.stop()

    print(f"{seconds:.0f} s, {os.cpu_count()} cores, {chunks} chunks inferred beside the suite\n")
    print("| loop | rate (Hz) | period error p50 (ms) | p99 (ms) | max (ms) |")
    print("|---|---|---|---|---|")
    baseline = report("bare sleep loop", bare_times, RATE_HZ, starts_ns)
    commands = report("executor_node, commands", written["commands"], RATE_HZ, starts_ns)
    report("arm_node, joint states", written["joint states"], 50.0, starts_ns)
    print(f"\np99 of commands / bare loop: {commands / baseline:.2f} (to be under 1.5)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
