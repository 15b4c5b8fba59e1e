# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several simulated arms with one policy server, all on this computer: chunks, starvation, periods, fairness, recovery.

Each arm is a robot of a fleet, as fleet.launch.py starts it: world, arm, two rendered cameras, executor and a policy
node that asks the server, which is a process of its own. First all run undisturbed; then the executor of the first arm
is killed, which ends that robot; then the server, whose work a second one takes over; then that one too, and the first
one is started again. Chunk ages are from the observation to the arrival of the chunk, control periods are between DDS
source timestamps of commands. Starved is the share of control periods without an action. Latencies are the executors'
medians from a request to its chunk.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from policy_server import Server
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.share import CHECKPOINT, PACKAGE
from smolvla_ros.suite import processes
from smolvla_ros.suite.fleet import fleet_options
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.suite.processes import ProcessError, Processes, last_lines
from smolvla_ros.suite.programs import suite_nodes
from smolvla_ros.suite.ros_domain import reserve_domain_id
from smolvla_ros.wire import nanoseconds

EVERY_ONE = QoSProfile(depth=1000)  # reliable: a message lost here would count as a late command
CONTROL_HZ = 30.0
TASK = "pick up the red cube"
CHUNKS = 3  # of each arm, before the measurement starts
HEADER = (
    "| arm | chunks/s | starved | age p50 (ms) | age p99 (ms) | latency p50 (ms) | period error p99 (ms) |"
)


@dataclass
class Arm:
    """One robot: its programs, and what it has published; times in ns of the system clock."""

    name: str
    processes: Processes
    commands_ns: list[int] = field(default_factory=list)
    chunks: list[tuple[int, int]] = field(default_factory=list)  # arrival, observation
    states: list[tuple[int, Any]] = field(default_factory=list)  # arrival, ExecutorState
    task: Any = None  # publisher of its tasks
    ended: str = ""  # why the robot has ended

    def observe(self, client: ClientNode) -> None:
        def subscribe(topic: topics.Topic, callback: Callable[..., None]) -> None:
            client.node.create_subscription(topic.type, f"/{self.name}/{topic.name}", callback, EVERY_ONE)

        def on_chunk(chunk: Any) -> None:
            self.chunks.append((time.time_ns(), nanoseconds(chunk.observation_stamp)))

        subscribe(topics.JOINT_COMMANDS, lambda _, info: self.commands_ns.append(info["source_timestamp"]))
        subscribe(topics.ACTION_CHUNK, on_chunk)
        subscribe(topics.EXECUTOR_STATE, lambda state: self.states.append((time.time_ns(), state)))

    def check(self) -> None:
        """Restart what restarts; stop the robot's programs when it cannot go on without one."""
        if self.ended:
            return
        try:
            self.processes.check()
        except ProcessError as error:
            self.ended = str(error).partition("\n")[0]
            self.processes.stop()

    def figures(self, start_ns: int, end_ns: int) -> Figures:
        states = [(at, state) for at, state in self.states if start_ns <= at <= end_ns]
        ages_ms = [(at - seen) / 1e6 for at, seen in self.chunks if start_ns <= at <= end_ns] or [np.nan]
        commands = np.array([at for at in self.commands_ns if start_ns <= at <= end_ns])
        errors_ms = np.abs(np.diff(commands) / 1e6 - 1e3 / CONTROL_HZ) if len(commands) > 1 else [np.nan]
        (first_ns, first), (last_ns, last) = states[0], states[-1]
        duration_s = (last_ns - first_ns) / NANOSECONDS
        return Figures(
            chunks_per_s=(last.chunks_accepted - first.chunks_accepted) / duration_s,
            starved=(last.starved_periods - first.starved_periods) / (CONTROL_HZ * duration_s),
            age_p50_ms=float(np.percentile(ages_ms, 50)),
            age_p99_ms=float(np.percentile(ages_ms, 99)),
            latency_ms=1e3 * last.request_latency_p50,
            period_error_ms=float(np.percentile(errors_ms, 99)),
        )


@dataclass(frozen=True)
class Figures:
    """A row of the table."""

    chunks_per_s: float
    starved: float  # share
    age_p50_ms: float
    age_p99_ms: float
    latency_ms: float  # from a request to its chunk, median
    period_error_ms: float  # p99

    def cells(self) -> str:
        numbers = (self.age_p50_ms, self.age_p99_ms, self.latency_ms)
        whole = " | ".join(f"{number:.0f}" for number in numbers)
        return f"{self.chunks_per_s:.2f} | {100 * self.starved:.0f} % | {whole} | {self.period_error_ms:.1f}"


class Fleet:
    """The arms, observed by a node of this process."""

    def __init__(self, client: ClientNode) -> None:
        self._client = client
        self.arms: list[Arm] = []

    def start(self, robot: SuiteOptions, folder: Path, timeout_s: float) -> None:
        """Start a robot's programs, without those of other packages, and wait until its executor is ready."""
        self.arms.append(arm := Arm(robot.namespace, Processes(folder / robot.namespace)))
        arm.observe(self._client)
        for spec in suite_nodes(robot):
            if spec.package == PACKAGE:
                arm.processes.start(spec)
        arm.task = self._client.publisher(topics.TASK, f"/{arm.name}/{topics.TASK.name}")
        ready = self.spin(timeout_s, lambda: arm.states and arm.task.get_subscription_count())
        assert ready, f"{arm.name} is not ready {arm.ended}"

    @property
    def running(self) -> list[Arm]:
        return [arm for arm in self.arms if not arm.ended]

    def spin(self, seconds: float, condition: Callable[[], Any] = lambda: False) -> bool:
        """Observe for some time, or until a condition is met; returns whether it is."""
        end_s = time.monotonic() + seconds
        while not (is_met := bool(condition())) and time.monotonic() < end_s:
            self._client.spin(min(0.2, seconds))
            for arm in self.arms:
                arm.check()
        return is_met

    def start_tasks(self, timeout_s: float) -> None:
        """Give each arm a task, and wait until all have chunks."""
        for arm in self.arms:
            arm.task.publish(String(data=TASK))
        started = self.spin(timeout_s, lambda: all(len(arm.chunks) >= CHUNKS for arm in self.running))
        logs = [last_lines(arm.processes._running[f"{arm.name}_policy"].log) for arm in self.running]
        assert started and len(self.running) == len(self.arms), "\n".join(logs)

    def stop(self) -> None:
        for arm in self.arms:
            arm.processes.stop()

    def measure(self, title: str, seconds: float) -> None:
        """Print a table of the running arms, and how unequal they are."""
        start_ns = time.time_ns()
        self.spin(seconds)
        found = {arm.name: arm.figures(start_ns, time.time_ns()) for arm in self.running}
        print(f"\n{title}, {seconds:.0f} s\n\n{HEADER}\n|---{'|--:' * 6}|")
        for name, figures in found.items():
            print(f"| {name} | {figures.cells()} |")
        rates = [figures.chunks_per_s for figures in found.values()]
        latencies = [figures.latency_ms for figures in found.values()]
        print(f"\nlargest / smallest: chunks {ratio(rates)}, latency {ratio(latencies)}", flush=True)

    def measure_recovery(self, title: str, timeout_s: float) -> None:
        """Print how long each running arm waits from now on until the first chunk for what it sees after now."""
        start_ns = time.time_ns()
        self.spin(timeout_s, lambda: all(recovered_s(arm, start_ns) for arm in self.running))
        found = {arm.name: recovered_s(arm, start_ns) for arm in self.running}
        waits = (f"{name} {seconds:.1f} s" if seconds else f"{name} none" for name, seconds in found.items())
        print(f"\n{title}; until the first new chunk: {', '.join(waits)}", flush=True)


def ratio(values: list[float]) -> str:
    return f"{max(values) / min(values):.2f}" if min(values) > 0 else "none"


def fleet_of(options: argparse.Namespace, folder: Path, server: str) -> tuple[SuiteOptions, ...]:
    """The robots of a fleet file."""
    robots = folder / "robots.yaml"
    seeds = {f"arm{number}": {"seed": number} for number in range(1, options.arms + 1)}
    robots.write_text(yaml.safe_dump(seeds), encoding="utf-8")
    # Images of two slow cameras are up to half a period apart.
    parameters = {"sync_slop_s": 0.6 / options.camera_rate, "max_observation_age_s": 2.0}
    params_file = folder / "params.yaml"
    params_file.write_text(yaml.safe_dump({"/**/policy": {"ros__parameters": parameters}}), encoding="utf-8")
    shared = {
        "sim": "true",
        "policy": "remote",
        "server": server,
        "checkpoint": options.checkpoint,  # for its node_parameters.yaml
        "console": "false",
        "params_file": str(params_file),
        "camera_rate_hz": str(options.camera_rate),
    }
    return fleet_options(str(robots), shared)


def run(options: argparse.Namespace, folder: Path, client: ClientNode) -> None:
    processes.FIRST_LINE_S = options.start_timeout
    start = partial(Server, options, options.together)
    servers, fleet = [start(), start()], Fleet(client)
    try:
        for robot in fleet_of(options, folder, ",".join(server.address for server in servers)):
            fleet.start(robot, folder, options.start_timeout)
        fleet.start_tasks(options.start_timeout)
        fleet.measure(f"{options.arms} arms", options.seconds)

        first = fleet.arms[0]
        first.processes._running[f"{first.name}_executor"].process.kill()
        assert fleet.spin(options.start_timeout, lambda: first.ended), (
            "the robot goes on without its executor"
        )
        fleet.measure(f"without {first.name} ({first.ended})", options.seconds)

        servers[0].kill()
        fleet.measure_recovery("server killed, a second one runs", options.start_timeout)
        fleet.spin(options.outage)
        servers[1].kill()
        fleet.spin(options.outage)
        servers[0] = start(servers[0].address)
        title = f"both killed for {options.outage:.0f} s, then the first one started again"
        fleet.measure_recovery(title, options.start_timeout)
        fleet.measure("after the server's return", options.seconds)
    finally:
        fleet.stop()
        for server in servers:
            server.close()


def recovered_s(arm: Arm, start_ns: int) -> float | None:
    """From a moment to the first chunk for what was seen after it; None: not yet."""
    later = (at for at, seen in arm.chunks if seen > start_ns)
    return next(((at - start_ns) / NANOSECONDS for at in later), None)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arms", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each table (default: %(default)s)")
    parser.add_argument("--outage", type=float, default=5.0, help="of the server (s, default: %(default)s)")
    parser.add_argument("--camera-rate", type=float, default=5.0, help="images per second of each camera")
    parser.add_argument("--together", type=int, default=8, help="most requests computed together")
    parser.add_argument("--start-timeout", type=float, default=180.0, help="s (default: %(default)s)")
    parser.add_argument("--checkpoint", default=CHECKPOINT)
    parser.add_argument("--backbone", default="")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    with tempfile.TemporaryDirectory() as folder, ClientNode("bench") as client:
        run(options, Path(folder), client)
    return 0


if __name__ == "__main__":
    sys.exit(main())
