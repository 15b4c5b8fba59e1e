# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the jitter of commands and joint states while inference loads all cores.

The whole simulated suite runs (emulated servo bus, two rendered cameras, a small SmolVLA), and a process that runs
inference on all cores, with the niceness of inference in the policy node. The baselines run at the same time with the
executor's priority: processes that wait for the same deadlines and do nothing else, one by sleeping, one by sleeping
and then busy waiting. Times are DDS source timestamps, taken when a message is written. With several networks the
measurements alternate between them: sockets of this computer alone, of all networks, and Fast DDS without a profile.
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
import yaml
from network import fast_dds_defaults
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.fast_dds import RANGE, RANGES, fast_dds_settings
from smolvla_ros.nodes.realtime_priority import request_realtime_priority
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.share import CHECKPOINT, PACKAGE
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.suite.processes import Processes
from smolvla_ros.suite.programs import suite_nodes
from smolvla_ros.suite.ros_domain import reserve_domain_id

SPIN_S = 0.001  # of each period, in which the second baseline waits busily
EVERY_ONE = QoSProfile(depth=1000)  # reliable: a message lost here would count as a late command
SETTLE_S = 10.0  # in which the other processes load torch and the checkpoint
NO_PROFILE = "no_profile"  # Fast DDS as it is, on UDP


def bare_loop(rate_hz: float, spin_s: float, priority: int, until_s: float, results: Any) -> None:
    """Wait for absolute deadlines, the last `spin_s` busily, and put the times reached into `results`."""
    if priority:
        request_realtime_priority(priority)
    times, deadline_s = [], time.monotonic()
    while deadline_s < until_s:
        time.sleep(max(0.0, deadline_s - spin_s - time.monotonic()))
        while time.monotonic() < deadline_s:
            pass
        times.append(time.time_ns())
        deadline_s += 1.0 / rate_hz
    results.put(times)


def infer_forever(checkpoint: str, niceness: int, until_s: float, results: Any) -> None:
    """Load all cores with inference; puts the number of chunks into `results`."""
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


class StampRecorder:
    """Records when commands and joint states were written, while the suite executes a task."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = Node("bench")
        self.commands = self._record(topics.JOINT_COMMANDS)
        self.joint_states = self._record(topics.JOINT_STATES)
        self.requests = self._record_by_request(topics.CHUNK_REQUEST)
        self.chunks = self._record_by_request(topics.ACTION_CHUNK)

    def _record(self, topic: topics.Topic) -> list[int]:
        stamps: list[int] = []
        self.node.create_subscription(
            topic.type, topic.name, lambda _, info: stamps.append(info["source_timestamp"]), EVERY_ONE
        )
        return stamps

    def _record_by_request(self, topic: topics.Topic) -> dict[int, int]:
        stamps: dict[int, int] = {}
        self.node.create_subscription(
            topic.type,
            topic.name,
            lambda message, info: stamps.setdefault(message.request_id, info["source_timestamp"]),
            EVERY_ONE,
        )
        return stamps

    def latencies_ms(self, starts_ns: int) -> list[float]:
        """From each request after `starts_ns` to its chunk."""
        answered = self.requests.keys() & self.chunks.keys()
        return [
            (self.chunks[number] - self.requests[number]) / 1e6
            for number in answered
            if self.requests[number] >= starts_ns
        ]

    def start_task(self) -> None:
        """Send the executor a task and wait until it sends commands."""
        task = self.node.create_publisher(topics.TASK.type, topics.TASK.name, topics.TASK.publish)
        while not task.get_subscription_count():
            rclpy.spin_once(self.node, timeout_sec=0.1)
        task.publish(String(data="pick up the red cube"))
        while len(self.commands) < 30:
            rclpy.spin_once(self.node, timeout_sec=0.1)

    def spin_until(self, until_s: float) -> None:
        while time.monotonic() < until_s:
            rclpy.spin_once(self.node, timeout_sec=0.1)

    def close(self) -> None:
        self.node.destroy_node()
        rclpy.try_shutdown()


def run(network: str, rate_hz: float, options: argparse.Namespace) -> None:
    """Measure in a process of its own: Fast DDS reads its profile once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
        os.environ.update(environment(network, folder))
        processes = Processes(folder)
        try:
            measure(CHECKPOINT, processes, folder, f"{network}, {rate_hz:g} Hz", rate_hz, options)
        finally:
            processes.stop()


def environment(network: str, folder: Path) -> dict[str, str]:
    """The variables for a network; writes the profile without settings to `folder`."""
    if network != NO_PROFILE:
        others = {name: value for name, value in os.environ.items() if name != RANGE}
        return fast_dds_settings(others, network)
    return {**fast_dds_defaults(folder), RANGE: "SYSTEM_DEFAULT"}


def measure(
    checkpoint: str,
    processes: Processes,
    folder: Path,
    title: str,
    rate_hz: float,
    options: argparse.Namespace,
) -> None:
    """Run suite, load and baselines together; print the table."""
    parameters = folder / "executor.yaml"
    settings = {"rate_hz": rate_hz, "realtime_priority": options.priority}
    parameters.write_text(yaml.safe_dump({"executor": {"ros__parameters": settings}}), encoding="utf-8")
    for spec in suite_nodes(
        SuiteOptions(
            sim=True,
            checkpoint=checkpoint,
            console="false",
            params_file=str(parameters),
            camera_rate_hz=options.camera_rate,
        )
    ):
        if spec.package == PACKAGE:
            processes.start(spec)
    recorder = StampRecorder()
    recorder.start_task()
    spawn = multiprocessing.get_context("spawn")
    chunks, slept, spun = spawn.Queue(), spawn.Queue(), spawn.Queue()
    until_s = time.monotonic() + SETTLE_S + options.seconds
    starts_ns = time.time_ns() + round(SETTLE_S * 1e9)
    others = [
        spawn.Process(target=infer_forever, args=(checkpoint, options.niceness, until_s, chunks)),
        spawn.Process(target=bare_loop, args=(rate_hz, 0.0, options.priority, until_s, slept)),
        spawn.Process(target=bare_loop, args=(rate_hz, SPIN_S, options.priority, until_s, spun)),
    ]
    for process in others:
        process.start()
    recorder.spin_until(until_s)
    processes.check()
    recorder.close()

    print(
        f"\n{title} for {options.seconds:.0f} s, {os.cpu_count()} cores, {chunks.get()} chunks inferred beside "
        "the suite\n"
    )
    print("| loop | rate (Hz) | period error p50 (ms) | p99 (ms) | max (ms) |")
    print("|---|---|---|---|---|")
    sleeping = report("bare sleep loop", slept.get(), rate_hz, starts_ns)
    spinning = report("bare sleep-and-spin loop", spun.get(), rate_hz, starts_ns)
    commands = report("executor_node, commands", recorder.commands, rate_hz, starts_ns)
    report("arm_node, joint states", recorder.joint_states, 50.0, starts_ns)
    p50, p99 = np.percentile(recorder.latencies_ms(starts_ns), [50, 99])
    print(f"\nfrom a chunk's request to the chunk: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    print(
        f"p99 of commands / bare sleep loop: {commands / sleeping:.2f} (to be under 1.5), / sleep-and-spin loop: "
        f"{commands / spinning:.2f} (to be under 1 at 100 Hz)"
    )
    for process in others:
        process.join()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[30.0, 100.0, 200.0], help="Hz, one after the other"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="for each rate")
    parser.add_argument(
        "--priority", type=int, default=0, help="SCHED_FIFO of the executor and the baselines"
    )
    parser.add_argument("--niceness", type=int, default=PolicyConfig.niceness, help="of the load")
    parser.add_argument("--camera-rate", type=float, default=30.0, help="images per second of each camera")
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=[*RANGES, NO_PROFILE],
        default=["local"],
        help="who can reach the nodes",
    )
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    failed = False
    for rate_hz in options.rates:
        for network in options.networks:
            process = spawn.Process(target=run, args=(network, rate_hz, options))
            process.start()
            process.join()
            failed |= process.exitcode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
