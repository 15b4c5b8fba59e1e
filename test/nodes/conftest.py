# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real nodes as processes of their own, watched over real DDS on a domain that nobody else uses."""

from __future__ import annotations

import codecs
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="node tests need ROS 2 (make setup brings it)")

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import QoSProfile  # noqa: E402

from smolvla_ros.nodes.fast_dds import PROFILE, set_fast_dds  # noqa: E402
from smolvla_ros.robot import RobotSpec  # noqa: E402
from smolvla_ros.simulation.emulated_arm import EmulatedArm  # noqa: E402
from smolvla_ros.suite.ros_domain import reserve_domain_id  # noqa: E402
from smolvla_ros.units import load_calibration  # noqa: E402
from smolvla_ros.wire import joints_from_msg  # noqa: E402

from .forked import Forked  # noqa: E402

ROOT = Path(__file__).parents[2]
ROBOT = ROOT / "config" / "so100.yaml"
CALIBRATION = ROOT / "config" / "emulated_calibration.json"
DISCOVERY_S = 15.0
ANSWER_S = 5.0
EVERY_ONE = QoSProfile(depth=1000)  # reliable
SO100 = RobotSpec.load(ROBOT)

os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.pop(PROFILE, None)  # that of the process that distributes the tests, for another range
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
set_fast_dds()


def is_whole(state: Any) -> bool:
    """Whether joint states have all six: a busy computer can miss a servo for once."""
    return len(state.name) == len(SO100.joint_names)


def measured_rad(states: list[Any]) -> np.ndarray:
    """The positions of the newest joint states that are whole."""
    return joints_from_msg(next(filter(is_whole, reversed(states))), SO100.joint_names).positions_rad


def shares_memory(pid: int) -> bool:
    """Whether Fast DDS of a running process uses shared memory, which a killed process can lock for others."""
    return "/dev/shm/fastrtps" in Path(f"/proc/{pid}/maps").read_text()


class Program:
    """A program of the suite, running. Its output is kept in a file."""

    def __init__(self, process: subprocess.Popen[bytes] | Forked, log: Path) -> None:
        self._process = process
        self.log = log

    @classmethod
    def anew(cls, command: list[str], log: Path, folder: Path = ROOT) -> Program:
        """With an interpreter of its own."""
        with log.open("w") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder
            )
        return cls(process, log)

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, words: str, timeout_s: float = DISCOVERY_S) -> None:
        """Wait until it has said these words."""
        deadline_s = time.monotonic() + timeout_s
        while words not in self.output:
            assert self.running and time.monotonic() < deadline_s, self.output
            time.sleep(0.02)

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

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        if self.running:
            self.kill()


class Terminal:
    """A program of the suite on a pseudo-terminal of its own."""

    def __init__(self, command: list[str], **environment: str) -> None:
        self._master, terminal = pty.openpty()
        self.process = subprocess.Popen(
            command,
            stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, start_new_session=True,
            env=os.environ | environment,
        )  # fmt: skip
        os.close(terminal)
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # keeps half a character until the rest comes
        self._shown = ""

    def read(self) -> str:
        """All that was shown so far."""
        while select.select([self._master], [], [], 0.0)[0]:
            try:
                self._shown += self._decoder.decode(os.read(self._master, 65536))
            except OSError:  # it has ended
                break
        return self._shown

    def wait(self, timeout_s: float) -> int:
        """Its exit code, once it ends by itself; its output is read meanwhile, or it would wait for a full terminal."""
        deadline_s = time.monotonic() + timeout_s
        while (code := self.process.poll()) is None:
            assert time.monotonic() < deadline_s, self.read()
            self.read()
            time.sleep(0.01)
        return code

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


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

    def collect(self, topic: Any, name: str | None = None, qos: Any = None) -> list[Any]:
        """A list that fills with the messages of a topic, heard as its subscribers do unless `qos` says how."""
        messages: list[Any] = []
        self.node.create_subscription(topic.type, name or topic.name, messages.append, qos or topic.subscribe)
        return messages

    def listen(self, topic: Any, callback: Callable[[Any], None]) -> None:
        """Have `callback` called with the messages of a topic, heard as its subscribers do."""
        self.node.create_subscription(topic.type, topic.name, callback, topic.subscribe)

    def publisher(self, topic: Any, name: str | None = None) -> Any:
        return self.node.create_publisher(topic.type, name or topic.name, topic.publish)

    def call(self, kind: Any, name: str, request: Any, answer_s: float = ANSWER_S) -> Any:
        """Call a service, which may take `answer_s` for it, and return its response."""
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(DISCOVERY_S), f"no service {name}"
        for _ in range(3):  # an answer is lost when the server has not discovered the client yet
            future = client.call_async(request)
            if self.spin_until(future.done, answer_s):
                break
        assert future.done(), f"{name} does not answer"
        self.node.destroy_client(client)
        return future.result()

    def until(self, happened: Callable[[], Any], what: str, timeout_s: float = DISCOVERY_S) -> None:
        """Spin until `happened()`; fails naming `what` when it does not."""
        assert self.spin_until(happened, timeout_s), f"waited {timeout_s} s for {what}"

    def spin_until(self, happened: Callable[[], Any], timeout_s: float) -> bool:
        """Let messages come in until `happened()`, at most for a while; returns whether it did."""
        deadline_s = time.monotonic() + timeout_s
        while not happened():
            if time.monotonic() > deadline_s:
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True

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
    """Start a program of the suite, as `programs_in` does."""
    yield from programs_in(tmp_path)


@pytest.fixture
def start_new_interpreter(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """As `start`, each program with an interpreter of its own, as users start it."""
    yield from programs_in(tmp_path, is_forked=False)


def programs_in(tmp_path: Path, is_forked: bool = True) -> Iterator[Callable[..., Program]]:
    """Start a program of the suite; what still runs at the end must end on SIGINT with exit code 0.

    And its Fast DDS must be without shared memory.
    """
    programs: list[Program] = []

    def start_program(module: str, *arguments: str, **parameters: Any) -> Program:
        ros_arguments = [
            text for key, value in parameters.items() for text in ("-p", f"{key}:={_yaml(value)}")
        ]
        if ros_arguments or ".nodes." in module:
            arguments = (*arguments, "--ros-args", *ros_arguments)
        log = tmp_path / f"{len(programs)}-{module.rsplit('.', 1)[-1]}.log"
        module = f"smolvla_ros.{module}"
        if is_forked:
            programs.append(Program(Forked(module, [*arguments], log, ROOT), log))
        else:
            programs.append(Program.anew([sys.executable, "-m", module, *arguments], log))
        return programs[-1]

    yield start_program
    sharing = [program.log.stem for program in programs if program.running and shares_memory(program.pid)]
    codes = {program.log.stem: program.stop() for program in reversed(programs) if program.running}
    for program in programs:  # pytest shows it where the test or this fixture fails
        print(f"--- {program.log.stem}\n{program.output}")
    assert not any(codes.values()), f"exit codes {codes}"
    assert not sharing, f"{sharing} can be locked by a killed process: see smolvla_ros/nodes/fast_dds.py"


@pytest.fixture
def executor_bench(observer: Observer, start: Callable[..., Program]) -> Callable[..., Any]:
    """`executor_bench(**parameters)`: the executor node with these parameters, connected to a bench."""

    return lambda **parameters: _executor_bench(observer, start, parameters)


@pytest.fixture(scope="module")
def shared_executor(ros: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """As `executor_bench`, for all tests of a module: each calls `renew` first. None may start another executor."""
    observer = Observer()
    programs = programs_in(tmp_path_factory.mktemp("programs"))
    start = next(programs)
    yield lambda **parameters: _executor_bench(observer, start, parameters)
    next(programs, None)
    observer.close()


@pytest.fixture
def make_bench(running: Any) -> Callable[..., Any]:
    """`make_bench(**parameters)`: the module's executor bench `running`, renewed with these parameters."""

    def renew(**parameters: Any) -> Any:
        running.renew(**parameters)
        return running

    return renew


@pytest.fixture
def bench(make_bench: Callable[..., Any]) -> Any:
    """The module's executor bench, renewed."""
    return make_bench()


def _executor_bench(observer: Observer, start: Callable[..., Program], parameters: dict[str, Any]) -> Any:
    from .executor_bench import ExecutorBench  # which needs what is above

    bench = ExecutorBench(observer, start("nodes.executor_node", robot=ROBOT, **parameters), **parameters)
    bench.connect()
    return bench


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[EmulatedArm]:
    """Emulated servos in the process of the test."""
    with EmulatedArm(load_calibration(CALIBRATION), link=tmp_path / "so100") as arm:
        yield arm


@pytest.fixture
def arm_bench(observer: Observer, start: Callable[..., Program], arm: EmulatedArm) -> Callable[..., Any]:
    """`arm_bench(**parameters)`: the arm node with these parameters on the servos of `arm`."""
    from .arm_bench import ArmBench

    return lambda **parameters: ArmBench(observer, start, arm, parameters)


@pytest.fixture
def on_terminal() -> Iterator[Callable[..., Terminal]]:
    """`on_terminal(module, **environment)`: start a program on a terminal; it is gone at the end."""
    terminals: list[Terminal] = []

    def start_on_terminal(module: str, **environment: str) -> Terminal:
        terminals.append(Terminal([sys.executable, "-m", f"smolvla_ros.{module}"], **environment))
        return terminals[-1]

    yield start_on_terminal
    running = [terminal.process for terminal in terminals if terminal.process.poll() is None]
    sharing = [process.args for process in running if shares_memory(process.pid)]
    for terminal in terminals:
        terminal.close()
    assert not sharing, f"{sharing} can be locked by a killed process: see smolvla_ros/nodes/fast_dds.py"


@pytest.fixture
def emulated_arm(start: Callable[..., Program], tmp_path: Path) -> tuple[str, Program]:
    """The port of an emulated servo bus, and its process."""
    link = tmp_path / "arm"
    program = start("simulation.emulated_arm", "--calibration", str(CALIBRATION), "--link", str(link))
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
