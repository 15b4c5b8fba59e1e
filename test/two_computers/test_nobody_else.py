# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who can reach the suite: by default every program of this computer, and nobody else, whoever is named as peer.

Where the tests run as root, the suite runs in a network namespace of its own, and a stranger in another one.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smolvla_ros.nodes.fast_dds import PROFILE, RANGE, STATIC_PEERS
from smolvla_ros.suite.ros_domain import reserve_domain_id

from .namespaces import Computer, NoNamespacesError, link_directly, two_computers

pytest.importorskip("rclpy", reason="it runs the nodes")

OPTIONS = {"sim": "true", "policy": "scripted", "record": "true", "camera_rate_hz": "1.0"}
PROGRAMS = 8  # world, arm, two cameras, policy, executor, recorder, console
DISCOVERY_GROUP = "239.255.0.1"  # multicast; joined on the loopback interface
TCP_LISTEN = "0A"
SUITE = """
import json, sys
from pathlib import Path
from smolvla_ros.share import PACKAGE
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.suite.processes import Processes
from smolvla_ros.suite import programs

folder = Path(sys.argv[1])
options = SuiteOptions.from_text(json.loads(sys.argv[2]) | {"port": str(folder / "arm"), "output": str(folder)})
processes = Processes(folder)
for spec in getattr(programs, sys.argv[3])(options):
    if spec.package == PACKAGE:
        processes.start(spec)
print("started", flush=True)
sys.stdin.read()
processes.stop()
"""
# As a program of somebody else, or of ROS itself, does it: without any setting of this package.
PROBE = """
import json, os, sys, time
import rclpy
from smolvla_ros.msg import ExecutorState
from std_msgs.msg import String
from std_srvs.srv import Trigger

seconds, wanted = float(sys.argv[1]), int(sys.argv[2])
rclpy.init()
node = rclpy.create_node("probe")
heard = []
node.create_subscription(ExecutorState, "executor/state", heard.append, 10)
task = node.create_publisher(String, "task", 10)
stop = node.create_client(Trigger, "executor/stop")
nodes, answers, asked_s, deadline_s = set(), [], 0.0, time.monotonic() + seconds

def is_complete():
    return len(nodes) >= wanted and heard and task.get_subscription_count() and answers

while time.monotonic() < deadline_s and not is_complete():
    rclpy.spin_once(node, timeout_sec=0.05)
    nodes = {space + name for name, space in node.get_node_names_and_namespaces() if name != "probe"}
    # again, as ExecutorClient does: an answer is lost that is sent before the server has discovered its receiver
    if stop.service_is_ready() and time.monotonic() > asked_s + 0.3:
        asked_s = time.monotonic()
        stop.call_async(Trigger.Request()).add_done_callback(answers.append)
print(json.dumps({
    "nodes": sorted(nodes), "heard": len(heard), "listens to task": task.get_subscription_count(),
    "stopped": any(answer.result().success for answer in answers),
}), flush=True)
os._exit(0)  # threads of Fast DDS can keep a process from ending
"""


@dataclass
class Place:
    """Where the suite runs: on a computer linked to a stranger's, or on this one if `no_stranger` says why."""

    domain: str
    robot: Computer | None = None
    stranger: Computer | None = None
    no_stranger: str = ""

    def run(
        self, computer: Computer | None, script: str, *words: str, **variables: str
    ) -> subprocess.Popen[str]:
        """Start a Python script in a shell in which none of the variables is set that say who is reached."""
        command = [sys.executable, "-c", script, *words]
        shell = {
            name: value for name, value in os.environ.items() if name not in (PROFILE, RANGE, STATIC_PEERS)
        }
        return subprocess.Popen(
            computer.command(*command) if computer else command,
            env=shell | {"ROS_DOMAIN_ID": self.domain} | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def probe(
        self, computer: Computer | None, seconds: float, wanted: int, **variables: str
    ) -> subprocess.Popen[str]:
        """Start the search for nodes; it ends after these seconds, or when it has found so many."""
        return self.run(computer, PROBE, str(seconds), str(wanted), **variables)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    domain = str(reserve_domain_id())
    with ExitStack() as stack:
        try:
            robot, stranger = stack.enter_context(two_computers())
            link_directly(robot, stranger)
        except NoNamespacesError as error:
            yield Place(domain, no_stranger=str(error))
        else:
            yield Place(domain, robot, stranger)


@contextmanager
def running(place: Place, folder: Path, nodes: str, **variables: str) -> Iterator[list[int]]:
    """Run programs of the suite; yields their process ids."""
    parent = place.run(place.robot, SUITE, str(folder), json.dumps(OPTIONS), nodes, **variables)
    assert parent.stdout
    try:
        assert parent.stdout.readline() == "started\n"
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text()
        yield [int(pid) for pid in children.split()]
    finally:
        parent.communicate(timeout=60.0)  # closes its input


@dataclass
class Suite:
    """The process ids of its programs, and what a probe in a shell of the same computer has found."""

    pids: list[int]
    found: dict[str, Any]


@pytest.fixture(scope="module")
def suite(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """The whole suite, started without any variable that says who may reach it."""
    with running(place, tmp_path_factory.mktemp("suite"), "suite_nodes") as pids:
        yield Suite(pids, found(place.probe(place.robot, 60.0, PROGRAMS)))


def found(probe: subprocess.Popen[str]) -> dict[str, Any]:
    return dict(json.loads(probe.communicate()[0]))


def test_a_shell_of_the_same_computer_reaches_every_node(suite: Suite) -> None:
    assert len(suite.found["nodes"]) == PROGRAMS == len(suite.pids)
    assert suite.found["stopped"] and suite.found["listens to task"] and suite.found["heard"], suite.found


def test_a_stranger_finds_nobody_also_when_the_robot_is_named_as_peer(place: Place, suite: Suite) -> None:
    if not (place.robot and place.stranger):
        pytest.skip(place.no_stranger)
    # It joins the multicast group on all interfaces, so that the kernel delivers the stranger's messages.
    bystander = place.probe(place.robot, 8.0, PROGRAMS + 1)
    peers = {STATIC_PEERS: place.robot.address}
    probes = [
        place.probe(place.stranger, 5.0, 1, **variables)
        for variables in ({}, peers, peers | {RANGE: "LOCALHOST"})
    ]
    assert [found(probe) for probe in probes] == [
        {"nodes": [], "heard": 0, "listens to task": 0, "stopped": False}
    ] * len(probes)
    assert len(found(bystander)["nodes"]) == PROGRAMS


def test_the_suite_listens_on_the_loopback_interface_alone(suite: Suite) -> None:
    sockets = {pid: listening_sockets(pid) for pid in suite.pids}
    assert all(sockets.values())
    assert {address for found in sockets.values() for address, _ in found} <= {"127.0.0.1", DISCOVERY_GROUP}


def test_an_opened_suite_is_found_by_a_stranger(place: Place, tmp_path: Path) -> None:
    if not (place.robot and place.stranger):
        pytest.skip(place.no_stranger)
    with running(place, tmp_path, "policy_nodes", **{RANGE: "SUBNET"}):
        result = found(place.probe(place.stranger, 20.0, 2))
    assert result["nodes"] == ["/executor", "/policy"]
    assert result["stopped"] and result["listens to task"] and result["heard"], result


def listening_sockets(pid: int) -> set[tuple[str, int]]:
    """Addresses and ports at which a process receives UDP or accepts TCP connections; raw sockets have port 0."""
    inodes = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(file)
        if target.startswith("socket:["):
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    found = set()
    for protocol in ("udp", "udp6", "tcp", "tcp6", "raw", "raw6"):
        for line in Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]:
            fields = line.split()
            local, state = fields[1], fields[3]
            if fields[9] in inodes and (state == TCP_LISTEN or "tcp" not in protocol):
                address, port = local.split(":")
                found.add((address_text(address), int(port, 16)))
    return found


def address_text(digits: str) -> str:
    """An address of /proc/net: words of four bytes, each with its bytes reversed."""
    words = [bytes.fromhex(digits[i : i + 8])[::-1] for i in range(0, len(digits), 8)]
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))
