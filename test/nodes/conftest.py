# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real nodes as processes, observed over real DDS in a ROS domain of their own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="node tests need ROS 2 (make setup brings it)")

from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rcl_interfaces.srv import SetParametersAtomically  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import QoSProfile  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402

from smolvla_ros.nodes.fast_dds import PROFILE, set_fast_dds  # noqa: E402
from smolvla_ros.simulation.emulated_arm import EmulatedArm  # noqa: E402
from smolvla_ros.suite.ros_domain import reserve_domain_id  # noqa: E402
from smolvla_ros.wire import joints_from_msg  # noqa: E402

from ..package_files import CALIBRATION, CALIBRATION_FILE, ROBOT, ROBOT_FILE, ROOT  # noqa: E402
from .forked import Forked  # noqa: E402
from .program import Program, Terminal, shares_memory  # noqa: E402

DEFAULTS = {"nodes.arm_node": {"calibration": CALIBRATION_FILE}}  # parameters of nodes
DISCOVERY_S = 15.0
ANSWER_S = 5.0
EVERY_ONE = QoSProfile(depth=1000)  # reliable

os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.pop(PROFILE, None)  # set by the main process of pytest-xdist, for another discovery range
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
set_fast_dds()


def is_complete(state: Any) -> bool:
    """Whether joint states have all six joints: on a busy computer a servo can be missed."""
    return len(state.name) == len(ROBOT.joint_names)


def measured_rad(states: list[Any]) -> np.ndarray:
    """The positions of the newest complete joint states."""
    return joints_from_msg(next(filter(is_complete, reversed(states))), ROBOT.joint_names).positions_rad


class Observer:
    """The node of the test: publishes, subscribes, and spins until a condition is true."""

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
        """Subscribe to a topic; returns the list to which its messages are added."""
        messages: list[Any] = []
        self.node.create_subscription(topic.type, name or topic.name, messages.append, qos or topic.subscribe)
        return messages

    def listen(self, topic: Any, callback: Callable[[Any], None]) -> None:
        """Subscribe to a topic."""
        self.node.create_subscription(topic.type, topic.name, callback, topic.subscribe)

    def publisher(self, topic: Any, name: str | None = None) -> Any:
        return self.node.create_publisher(topic.type, name or topic.name, topic.publish)

    def call(self, kind: Any, name: str, request: Any, answer_s: float = ANSWER_S) -> Any:
        """Call a service and return its response, which may take `answer_s`."""
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(DISCOVERY_S), f"no service {name}"
        for _ in range(3):  # a response is lost if the server has not discovered the client yet
            future = client.call_async(request)
            if self.spin_until(future.done, answer_s):
                break
        assert future.done(), f"{name} does not answer"
        self.node.destroy_client(client)
        return future.result()

    def trigger(self, name: str) -> Any:
        return self.call(Trigger, name, Trigger.Request())

    def switch(self, name: str, on: bool) -> Any:
        return self.call(SetBool, name, SetBool.Request(data=on))

    def change_state(self, node: str, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.call(ChangeState, f"{node}/change_state", request).success)

    def set_parameters(self, node: str, answer_s: float = ANSWER_S, **values: Any) -> Any:
        """Set parameters of a node in one call; the result tells whether they were accepted."""
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=parameters)
        return self.call(
            SetParametersAtomically, f"{node}/set_parameters_atomically", request, answer_s
        ).result

    def until(self, condition: Callable[[], Any], what: str, timeout_s: float = DISCOVERY_S) -> None:
        """Spin until the condition is true; fails with `what` if it does not become true in time."""
        assert self.spin_until(condition, timeout_s), f"waited {timeout_s} s for {what}"

    def spin_until(self, condition: Callable[[], Any], timeout_s: float) -> bool:
        """Run callbacks until the condition is true, at most for this time; returns whether it is."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True

    def spin(self, duration_s: float) -> None:
        """Run callbacks for this time."""
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
    """As `start`, but each program in a new interpreter, as users start it."""
    yield from programs_in(tmp_path, is_forked=False)


def programs_in(tmp_path: Path, is_forked: bool = True) -> Iterator[Callable[..., Program]]:
    """Yields a function that starts a program of the suite; a node's `robot` is the SO-100 if it is not given.

    Programs that still run at the end must not use shared memory, and must exit on SIGINT with exit code 0.
    """
    programs: list[Program] = []

    def start_program(module: str, *arguments: str, **parameters: Any) -> Program:
        if module.startswith("nodes."):
            parameters = DEFAULTS.get(module, {}) | {"robot": ROBOT_FILE} | parameters
        ros_arguments = [
            text for key, value in parameters.items() for text in ("-p", f"{key}:={_yaml(value)}")
        ]
        if ros_arguments:
            arguments = (*arguments, "--ros-args", *ros_arguments)
        log = tmp_path / f"{len(programs)}-{module.rsplit('.', 1)[-1]}.log"
        module = f"smolvla_ros.{module}"
        if is_forked:
            programs.append(Program(Forked(module, [*arguments], log, ROOT), log))
        else:
            programs.append(Program.new_interpreter([sys.executable, "-m", module, *arguments], log))
        return programs[-1]

    yield start_program
    sharing = [program.log.stem for program in programs if program.running and shares_memory(program.pid)]
    codes = {program.log.stem: program.stop() for program in reversed(programs) if program.running}
    for program in programs:  # shown by pytest if the test or this fixture fails
        print(f"--- {program.log.stem}\n{program.output}")
    assert not any(codes.values()), f"exit codes {codes}"
    assert not sharing, f"{sharing} can be blocked by a killed process: see smolvla_ros/nodes/fast_dds.py"


@pytest.fixture
def executor_bench(observer: Observer, start: Callable[..., Program]) -> Callable[..., Any]:
    """`executor_bench(**parameters)`: the executor node with these parameters, connected to a bench."""

    return lambda **parameters: _executor_bench(observer, start, parameters)


@pytest.fixture(scope="module")
def shared_executor(ros: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """As `executor_bench`, but one for all tests of a module, which call `reset` first and start no other executor."""
    observer = Observer()
    programs = programs_in(tmp_path_factory.mktemp("programs"))
    start = next(programs)
    yield lambda **parameters: _executor_bench(observer, start, parameters)
    next(programs, None)
    observer.close()


@pytest.fixture
def make_bench(running: Any) -> Callable[..., Any]:
    """`make_bench(**parameters)`: the module's executor bench `running`, reset with these parameters."""

    def reset(**parameters: Any) -> Any:
        running.reset(**parameters)
        return running

    return reset


@pytest.fixture
def bench(make_bench: Callable[..., Any]) -> Any:
    """The module's executor bench, reset."""
    return make_bench()


def _executor_bench(observer: Observer, start: Callable[..., Program], parameters: dict[str, Any]) -> Any:
    from .executor_bench import ExecutorBench  # which imports this module

    bench = ExecutorBench(observer, start("nodes.executor_node", **parameters), **parameters)
    bench.connect()
    return bench


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[EmulatedArm]:
    """Emulated servos in the process of the test."""
    with EmulatedArm(CALIBRATION, link=tmp_path / "so100") as arm:
        yield arm


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[tuple[EmulatedArm, Path]]:
    """An emulated leader in the process of the test, which can move it, and its calibration."""
    from .leader_arm import leader_arm

    with leader_arm(tmp_path) as leader:
        yield leader


@pytest.fixture
def arm_bench(observer: Observer, start: Callable[..., Program], arm: EmulatedArm) -> Callable[..., Any]:
    """`arm_bench(**parameters)`: the arm node with these parameters on the servos of `arm`."""
    from .arm_bench import ArmBench

    return lambda **parameters: ArmBench(observer, start, arm, parameters)


@pytest.fixture
def on_terminal() -> Iterator[Callable[..., Terminal]]:
    """`on_terminal(module, **environment)`: start a program on a pseudo-terminal; it is killed at the end."""
    terminals: list[Terminal] = []

    def start_on_terminal(module: str, **environment: str) -> Terminal:
        terminals.append(Terminal([sys.executable, "-m", f"smolvla_ros.{module}"], **environment))
        return terminals[-1]

    yield start_on_terminal
    running = [terminal.process for terminal in terminals if terminal.process.poll() is None]
    sharing = [process.args for process in running if shares_memory(process.pid)]
    for terminal in terminals:
        terminal.close()
    assert not sharing, f"{sharing} can be blocked by a killed process: see smolvla_ros/nodes/fast_dds.py"


@pytest.fixture
def emulated_arm(start: Callable[..., Program], tmp_path: Path) -> tuple[str, Program]:
    """The port of an emulated servo bus, and its process."""
    link = tmp_path / "arm"
    program = start("simulation.emulated_arm", "--calibration", CALIBRATION_FILE, "--link", str(link))
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
