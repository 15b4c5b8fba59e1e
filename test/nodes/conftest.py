# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real nodes as processes of their own, watched over real DDS on a domain that nobody else uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="node tests need ROS 2 (make setup brings it)")

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402

from smolvla_ros.tools.demo_plan import free_domain  # noqa: E402

ROOT = Path(__file__).parents[2]
ROBOT = ROOT / "config" / "so100.yaml"
CALIBRATION = ROOT / "config" / "emulated_calibration.json"
DISCOVERY_S = 15.0

os.environ["ROS_DOMAIN_ID"] = str(free_domain())
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(ROOT / "config" / "fastdds.xml"))


class Program:
    """A program of the suite, running. Its output is kept in a file."""

    def __init__(self, module: str, arguments: list[str], log: Path) -> None:
        self.log = log
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout_s: float = 20.0) -> int:
        """Its exit code, once it ends by itself."""
        return self._process.wait(timeout_s)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ask it to end and return its exit code."""
        if self.running:
            self._process.send_signal(number)
        try:
            return self._process.wait(15.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self.log.stem} ignored signal {number}:\n{self.output}") from None


class Observer:
    """A node of the test: publishes, subscribes and spins until something has happened."""

    def __init__(self) -> None:
        self.node = Node("observer")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()

    def now_ns(self) -> int:
        return int(self.node.get_clock().now().nanoseconds)

    def collect(self, topic: Any, name: str | None = None) -> list[Any]:
        """A list that fills with the messages of a topic."""
        messages: list[Any] = []
        self.node.create_subscription(topic.type, name or topic.name, messages.append, topic.subscribe)
        return messages

    def publisher(self, topic: Any, name: str | None = None) -> Any:
        return self.node.create_publisher(topic.type, name or topic.name, topic.publish)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(DISCOVERY_S), f"no service {name}"
        future = client.call_async(request)
        self.until(future.done, f"an answer of {name}")
        self.node.destroy_client(client)
        return future.result()

    def until(self, happened: Callable[[], Any], what: str, timeout_s: float = DISCOVERY_S) -> None:
        """Spin until `happened()`; fails naming `what` when it does not."""
        deadline_s = time.monotonic() + timeout_s
        while not happened():
            assert time.monotonic() < deadline_s, f"waited {timeout_s} s for {what}"
            self._executor.spin_once(timeout_sec=0.02)

    def spin(self, duration_s: float) -> None:
        """Let messages come in for a while."""
        deadline_s = time.monotonic() + duration_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left_s, 0.02))


@pytest.fixture(scope="session", autouse=True)
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def observer(ros: None) -> Iterator[Observer]:
    observer = Observer()
    yield observer
    observer.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start a program of the suite; what still runs at the end must end on SIGINT with exit code 0."""
    programs: list[Program] = []

    def start_program(module: str, *arguments: str, **parameters: Any) -> Program:
        ros_arguments = [
            text for key, value in parameters.items() for text in ("-p", f"{key}:={_yaml(value)}")
        ]
        if ros_arguments or ".nodes." in module:
            arguments = (*arguments, "--ros-args", *ros_arguments)
        log = tmp_path / f"{len(programs)}-{module.rsplit('.', 1)[-1]}.log"
        programs.append(Program(f"smolvla_ros.{module}", list(arguments), log))
        return programs[-1]

    yield start_program
    codes = {program.log.stem: program.stop() for program in reversed(programs) if program.running}
    logs = "\n".join(f"--- {program.log.stem}\n{program.output}" for program in programs)
    assert not any(codes.values()), f"exit codes {codes}\n{logs}"


@pytest.fixture
def emulated_arm(start: Callable[..., Program], tmp_path: Path) -> tuple[str, Program]:
    """The port of an emulated servo bus, and its process."""
    link = tmp_path / "arm"
    program = start("arm.emulated", "--calibration", str(CALIBRATION), "--link", str(link))
    deadline_s = time.monotonic() + 10.0
    while not link.exists():
        assert program.running and time.monotonic() < deadline_s, program.output
        time.sleep(0.01)
    return str(link), program


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return str(value) if value != "" else '""'
