# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count how many instructed tasks the suite does in the simulated world: real nodes, DDS and the servo bus.

For each task the world puts the objects of the next seed on the table and names an instruction. The instruction is
published as a person would publish it, and what the world says of its progress is counted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from smolvla_ros.msg import ExecutorState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.share import PACKAGE
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.suite.processes import Processes
from smolvla_ros.suite.programs import suite_nodes
from smolvla_ros.suite.ros_domain import reserve_domain_id

START_S = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for each (default: %(default)s)")
    parser.add_argument("--policy", default="expert", help="default: %(default)s")
    parser.add_argument("--checkpoint", default="", help="for the policy smolvla")
    parser.add_argument("--output", default="", help="record each task as an episode in this folder")
    parser.add_argument("--cameras", default="", help="such as top=rendered (default: top and wrist)")
    parser.add_argument(
        "--loads", type=int, default=0, help="busy processes beside it (default: %(default)s)"
    )
    options = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(reserve_domain_id()))
    with tempfile.TemporaryDirectory() as folder:
        suite = SuiteOptions(
            sim=True,
            policy=options.policy,
            checkpoint=options.checkpoint,
            cameras=options.cameras,
            port=f"{folder}/arm",
            record=bool(options.output),
            output=options.output,
        )
        processes = Processes(Path(folder))
        try:
            with ClientNode("instructed_tasks") as client:
                for spec in suite_nodes(suite):
                    if spec.package == PACKAGE:
                        processes.start(spec)
                with busy_processes(options.loads):
                    return run(client, options)
        finally:
            processes.stop()


def run(client: ClientNode, options: argparse.Namespace) -> int:
    """All tasks; 0 when each could be tried."""
    progress: list[Any] = []
    states: list[Any] = []
    client.subscribe(topics.TASK_PROGRESS, progress.append)
    client.subscribe(topics.EXECUTOR_STATE, states.append)
    publisher = client.publisher(topics.TASK)
    reset = client.node.create_client(Trigger, "simulated_world/reset")
    executor_reset = client.node.create_client(Trigger, "executor/reset")
    arm = client.node.create_client(SetBool, "executor/arm")
    recorder = {
        name: client.node.create_client(Trigger, f"recorder/{name}")
        for name in ("start", "success", "failure")
    }
    if not client.spin_until(lambda: progress and publisher.get_subscription_count(), START_S):
        print("the suite does not start", file=sys.stderr)
        return 1
    client.spin(3.0)
    started_s, cpu_before_s = time.monotonic(), cpu_s()
    faults, times, wrong, dropped = 0, [], 0, 0
    for number in range(options.tasks):
        instruction = call(client, reset)
        publisher.publish(String(data=instruction))
        client.spin_until(lambda: progress[-1].task == instruction, 5.0)  # noqa: B023
        if options.output:
            call(client, recorder["start"])
        client.spin_until(lambda: progress[-1].success, options.limit)
        last = progress[-1]
        if options.output:
            call(client, recorder["success" if last.success else "failure"])
        times += [last.success_time] if last.success else []
        wrong, dropped = wrong + bool(last.wrong_object), dropped + last.dropped
        result = f"{last.success_time:.1f} s" if last.success else f"score {last.score:.2f}"
        reason = last.reason or ("" if last.success else states[-1].reason)
        print(f"{number + 1:3} {instruction:60} {result} {last.wrong_object} {reason}".rstrip(), flush=True)
        publisher.publish(String(data=""))
        client.spin(0.5)
        if states[-1].state == ExecutorState.FAULT:  # a person would look at the arm, and go on
            faults += 1
            call(client, executor_reset)
            for _ in range(10):  # joint states may be late again
                with suppress(RuntimeError):
                    call(client, arm, SetBool.Request(data=True))
                    break
    median = f", median {np.median(times):.1f} s" if times else ""
    print(
        f"{len(times)} of {options.tasks} succeeded{median}; wrong object {wrong}, dropped {dropped}, faults {faults}"
    )
    duration_s = time.monotonic() - started_s
    shares = {name: (used_s - cpu_before_s.get(name, 0.0)) / duration_s for name, used_s in cpu_s().items()}
    print("% of a core: " + ", ".join(f"{name} {100 * share:.0f}" for name, share in sorted(shares.items())))
    return 0


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Processes that do nothing but use a core each."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def cpu_s() -> dict[str, float]:
    """CPU time of each program that this process and its children have started, by module; Linux only."""
    parents, programs = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_text().split("\0")
        except OSError:  # it has ended meanwhile
            continue
        parents[int(folder.name)] = int(stat[1])
        if "-m" in words:
            module = words[words.index("-m") + 1].rpartition(".")[2]
            seconds = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
            programs.append((int(folder.name), module, seconds))
    used: dict[str, float] = {}
    for pid, module, seconds in programs:
        while pid in parents and pid != os.getpid():
            pid = parents[pid]
        if pid == os.getpid():
            used[module] = used.get(module, 0.0) + seconds
    return used


def call(client: ClientNode, service: Any, request: Any = None) -> str:
    """The message of a Trigger or SetBool service; raises RuntimeError when it fails or does not answer."""
    if not service.wait_for_service(10.0):
        raise RuntimeError(f"there is no service {service.srv_name}")
    future = service.call_async(request or Trigger.Request())
    client.spin_until(future.done, 10.0)
    if not future.done() or not future.result().success:
        raise RuntimeError(f"{service.srv_name}: {future.result().message if future.done() else 'no answer'}")
    return str(future.result().message)


if __name__ == "__main__":
    start_s = time.monotonic()
    code = main()
    print(f"{time.monotonic() - start_s:.0f} s in all")
    sys.exit(code)
