# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files: parsed everywhere, launched where launch_ros is installed."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.suite.ros_domain import reserve_domain_id

from ..package_files import ROOT

FILES = sorted((ROOT / "launch").glob("*.launch.py"))
LAUNCH = "PyPI has no launch and launch_ros; they come with a ROS 2 installation"
MAIN = (
    "import sys; from launch import LaunchDescription, LaunchService\n"
    "from launch.actions import IncludeLaunchDescription\n"
    "service = LaunchService(argv=sys.argv[2:])\n"
    "arguments = [word.split(':=', 1) for word in sys.argv[2:]]\n"
    "service.include_launch_description(IncludeLaunchDescription(sys.argv[1], launch_arguments=arguments))\n"
    "sys.exit(service.run())"
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_launch_file_compiles_and_takes_only_options_that_exist(file: Path) -> None:
    tree = ast.parse(file.read_text())
    compile(tree, file.name, "exec")
    known = {entry.name for entry in dataclasses.fields(SuiteOptions)}
    declared = [
        argument.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "declare"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    ]
    for assignment in ast.walk(tree):
        if isinstance(assignment, ast.Assign) and isinstance(assignment.value, ast.Constant):
            declared += str(assignment.value.value).split()
    assert set(declared) <= known


def test_every_option_is_declared_by_a_launch_file() -> None:
    pytest.importorskip("launch_ros", reason=LAUNCH)
    declared = {name for file in FILES for name in arguments_of(file)}
    assert declared == {entry.name for entry in dataclasses.fields(SuiteOptions)}
    assert set(arguments_of(ROOT / "launch" / "so100.launch.py")) == declared - {"robots"}


def arguments_of(file: Path) -> dict[str, Any]:
    from launch.actions import DeclareLaunchArgument
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    entities = get_launch_description_from_python_launch_file(str(file)).entities
    return {entity.name: entity for entity in entities if isinstance(entity, DeclareLaunchArgument)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_launch_argument_is_described(file: Path) -> None:
    pytest.importorskip("launch_ros", reason=LAUNCH)
    arguments = arguments_of(file)
    assert arguments
    for argument in arguments.values():
        assert len(argument.description) > 10 and argument.default_value is not None


class Launched:
    """`ros2 launch` of a file in a session of its own."""

    def __init__(self, file: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", MAIN, str(ROOT / "launch" / file), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines += iter(self._process.stdout.readline, "")

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def interrupt(self) -> None:
        """Send SIGINT to every program of the session, as Ctrl-C in a terminal does."""
        os.killpg(self._process.pid, signal.SIGINT)

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait until it and all its programs have exited; returns its exit code."""
        code = self._process.wait(timeout_s)
        self._reader.join(5.0)
        assert not self._reader.is_alive(), "one of its programs still runs"
        return code

    def kill(self) -> None:
        """Kill what still runs."""
        if self._process.poll() is None or self._reader.is_alive():
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(5.0)


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    pytest.importorskip("launch_ros", reason=LAUNCH)
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(reserve_domain_id()))
    launched: list[Launched] = []

    def start(file: str, *arguments: str) -> Launched:
        launched.append(Launched(file, *arguments))
        return launched[-1]

    yield start
    for one in launched:
        one.kill()


def test_the_whole_suite_moves_the_arm_and_stops_on_ctrl_c(launch: Callable[..., Launched]) -> None:
    suite = launch("so100.launch.py", "sim:=true", "policy:=scripted", "namespace:=left")
    messages = drive("/left", suite)
    positions = [message.position[0] for message in messages["joint_commands"]]
    assert max(positions) - min(positions) > 0.05
    suite.interrupt()
    assert suite.wait() == 0, suite.output
    assert "Traceback" not in suite.output
    assert "has died" not in suite.output


def drive(namespace: str, suite: Launched) -> dict[str, list[Any]]:
    """Publish a task and wait until the arm has moved."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import JointState
    from std_msgs.msg import String

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(os.environ["ROS_DOMAIN_ID"]))
    node = rclpy.create_node("person", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    heard: dict[str, list[Any]] = {"joint_states": [], "joint_commands": []}
    for topic, messages in heard.items():
        node.create_subscription(JointState, f"{namespace}/{topic}", messages.append, 10)
    task = node.create_publisher(String, f"{namespace}/task", 10)
    try:
        deadline_s = time.monotonic() + 60.0
        said = False
        while not moved(heard):
            assert time.monotonic() < deadline_s, suite.output
            if not said and task.get_subscription_count():
                task.publish(String(data="wave"))
                said = True
            executor.spin_once(timeout_sec=0.05)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
    return heard


def moved(heard: dict[str, list[Any]]) -> bool:
    return all(
        messages and max(m.position[0] for m in messages) - min(m.position[0] for m in messages) > 0.06
        for messages in heard.values()
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["port is not given", "sim:=true"]),
        (["sim:=true", "cameras:=topp=rendered"], ["no camera 'topp'", "did you mean 'top'"]),
        (["sim:=true", "checkpoint:=/no/such/folder"], ["/no/such/folder", "policy has ended (exit code 1)"]),
        (
            ["sim:=true", f"port:={ROOT}/README.md"],
            ["README.md exists", "simulated_world has ended (exit code 1)"],
        ),
        (
            ["port:=/dev/no_such_port", f"calibration:={ROOT}/config/emulated_calibration.json"],
            ["/dev/no_such_port", "arm has ended (exit code 1)", "so100_tabletop"],
        ),
    ],
    ids=["no port", "wrong camera", "no checkpoint", "no world", "no such port"],
)
def test_errors_are_reported_and_no_process_is_left(
    launch: Callable[..., Launched], arguments: list[str], words: list[str]
) -> None:
    suite = launch("so100.launch.py", *arguments)
    assert suite.wait(60.0) == 1, suite.output
    assert all(word in suite.output for word in words), suite.output
    assert "Traceback" not in suite.output


def wait_for_output(suite: Launched, words: str) -> None:
    deadline_s = time.monotonic() + 30.0
    while words not in suite.output:
        assert time.monotonic() < deadline_s, suite.output
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("file", "arguments", "words"),
    [
        ("teleop.launch.py", ["sim:=true"], "[arm]: active"),  # it waits for the simulated world
        ("record.launch.py", ["task:=wave"], "episodes go to"),
        ("so100.launch.py", ["sim:=true", "policy:=scripted", "record:=true"], "episodes go to"),
    ],
)
def test_the_other_launch_files_start_and_stop_on_ctrl_c(
    launch: Callable[..., Launched], tmp_path: Path, file: str, arguments: list[str], words: str
) -> None:
    if file != "teleop.launch.py":
        arguments = [*arguments, f"output:={tmp_path / 'episodes'}"]
    suite = launch(file, *arguments)
    wait_for_output(suite, words)
    suite.interrupt()
    assert suite.wait() == 0, suite.output
    assert "Traceback" not in suite.output


def test_an_opened_network_is_said_at_the_start(
    launch: Callable[..., Launched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE")
    suite = launch("policy.launch.py", "mode:=shadow", "network:=lan")
    wait_for_output(suite, "network: OPEN")
    wait_for_output(suite, "[executor]: active")  # launch does not stop what it has not started yet
    suite.interrupt()
    assert suite.wait() == 0, suite.output


def test_when_the_executor_exits_everything_stops(launch: Callable[..., Launched]) -> None:
    suite = launch("policy.launch.py", "mode:=shadow")
    deadline_s = time.monotonic() + 20.0
    while (pid := pid_of("executor", suite.output)) is None:
        assert time.monotonic() < deadline_s, suite.output
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    assert suite.wait() == 1
    assert "executor has ended (exit code -9)" in suite.output


def test_a_killed_recorder_is_restarted_and_a_camera_that_fails_to_configure_is_not(
    launch: Callable[..., Launched], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/side/camera: {ros__parameters: {sorce: usb}}")
    suite = launch(
        "so100.launch.py", "sim:=true", "policy:=scripted", "record:=true", "cameras:=top,side=/dev/none",
        "policy_cameras:=top", f"output:={tmp_path}", f"params_file:={mine}", "recrod:=true",
    )  # fmt: skip
    wait_for_output(suite, "so100.launch.py has no argument 'recrod'; it is ignored; did you mean 'record'?")
    wait_for_output(suite, "'/side/camera' has no parameter 'sorce'; it is ignored; did you mean 'source'?")
    wait_for_output(suite, "side_camera has ended (exit code 1); the suite goes on without it")
    wait_for_output(suite, "episodes go to")
    killed = pid_of("recorder", suite.output)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_for_output(suite, "recorder has ended (exit code -9); it is started again in 2 s")
    while suite.output.count("episodes go to") < 2:
        time.sleep(0.02)
    suite.interrupt()
    assert suite.wait() == 0, suite.output
    assert suite.output.count("side_camera has ended") == 1


def test_the_arm_stops_before_the_rest_when_the_executor_has_exited(launch: Callable[..., Launched]) -> None:
    suite = launch("so100.launch.py", "sim:=true", "policy:=scripted", "cameras:=top")
    wait_for_output(suite, "[arm]: active")
    wait_for_output(suite, "[executor]: active")
    pid = pid_of("executor", suite.output)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert suite.wait() == 1
    arm_ended = re.search(r"\[arm_node-\d+\]: process has finished cleanly", suite.output)
    others_told = suite.output.index("sending signal 'SIGINT' to process[camera_node")
    assert arm_ended and arm_ended.start() < others_told, suite.output


def test_a_killed_camera_is_restarted(launch: Callable[..., Launched]) -> None:
    suite = launch("robot.launch.py", "sim:=true", "cameras:=top")
    deadline_s = time.monotonic() + 30.0
    killed = None
    while suite.output.count("camera 'top' from rendered") < 2:
        assert time.monotonic() < deadline_s, suite.output
        if killed is None and "camera 'top' from rendered" in suite.output:
            killed = pid_of("camera", suite.output)
            assert killed is not None
            assert profile_of(killed).endswith("config/fastdds_localhost.xml")
            os.kill(killed, signal.SIGKILL)
        time.sleep(0.02)
    suite.interrupt()
    assert suite.wait() == 0, suite.output


def test_a_robot_of_a_fleet_that_cannot_go_on_ends_alone(
    launch: Callable[..., Launched], tmp_path: Path
) -> None:
    robots = tmp_path / "robots.yaml"
    robots.write_text("left: {seed: 1}\nright: {seed: 2}\n")
    shared = ("sim:=true", "policy:=scripted", "cameras:=top", "camera_rate_hz:=5", "console:=false")
    fleet = launch("fleet.launch.py", f"robots:={robots}", *shared)
    wait_for_output(fleet, "[left.arm]: active")
    left = {
        name: pid_of(name, fleet.output) for name in ("executor", "camera", "simulated_world")
    }  # started first
    os.kill(left["executor"], signal.SIGKILL)
    wait_for_output(fleet, "executor has ended (exit code -9)")
    drive("/right", fleet)
    for name in ("camera", "simulated_world"):
        wait_for_output(fleet, f"process has finished cleanly [pid {left[name]}]")
    fleet.interrupt()
    assert fleet.wait() == 0, fleet.output


def profile_of(pid: int) -> str:
    """Fast DDS settings in the environment of a process."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(variable.split("=", 1) for variable in variables if "=" in variable)[
        "FASTRTPS_DEFAULT_PROFILES_FILE"
    ]


def pid_of(node: str, output: str) -> int | None:
    """The pid in the line `[camera_node-2]: process started with pid [123]`; None without such a line."""
    for line in output.splitlines():
        if f"[{node}_node-" in line and "started with pid" in line:
            return int(line.rsplit("[", 1)[1].rstrip("]"))
    return None
