# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the operator's console: how soon STOP stops, what it costs, and whether open pages disturb the control loop.

The whole suite runs on an emulated servo bus: arm, executor, scripted policy, two cameras of 640 x 480 at 30 Hz, and
the console. Stretches without a page, with one and with ten pages, of which one never reads its connection, take turns,
so that each has the same share of whatever else the computer does. The pages run in another process at a low priority,
because they would be on other computers. STOP is timed from the moment before its message is written to the WebSocket:
a browser adds its own time from the key to there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import smolvla_ros.msg as msg
import yaml
from control_rate import EVERY_ONE, period_errors_ms
from simulated.console_pages import Operator, Pages, keep_pages_open
from std_msgs.msg import String
from take_over import CALIBRATION, ROBOT, emulated_follower

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.nodes.rendered_camera import RenderedCamera
from smolvla_ros.share import PACKAGE
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.suite.processes import Processes
from smolvla_ros.suite.programs import suite_nodes
from smolvla_ros.suite.ros_domain import reserve_domain_id
from smolvla_ros.wire import header_stamp_ns

TASK = "wave"
CAMERAS, PICTURES = ("top", "wrist"), 30
QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 95)
PATIENCE_S, AGAIN_S = 60.0, 0.5
SETTLE_S = 3.0  # of each stretch, in which pages open and close; it is not counted
LOOK_S = 0.1
MANY = 10  # pages, one of them stalled
GOALS = {0: 5.0, 1: 20.0}  # % of a core, by the number of pages
PATIENT = {  # parameters of nodes, so that a busy computer does not end the run
    "executor": {"stale_after_s": 2.0},
    "arm": {"command_timeout_s": 5.0, "max_command_age_s": 5.0},
}


@dataclass
class Stretches:
    """What was measured while the same number of pages was open."""

    errors_ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    images: int = 0
    seconds: float = 0.0


class Bench:
    """Hears the executor, opens pages and presses STOP."""

    def __init__(self, client: ClientNode, address: str, console_pid: int, pages: Pages) -> None:
        self._client, self._address, self._console_pid, self._pages = client, address, console_pid, pages
        self._states: list[Any] = []
        self._command_ns: list[int] = []  # when each was written
        self._task = client.publisher(topics.TASK)
        client.subscribe(topics.EXECUTOR_STATE, self._states.append)
        client.node.create_subscription(
            topics.JOINT_COMMANDS.type,
            topics.JOINT_COMMANDS.name,
            lambda _, info: self._command_ns.append(info["source_timestamp"]),
            EVERY_ONE,
        )

    def start(self) -> None:
        self._wait(lambda: self._state == msg.ExecutorState.HOLDING, "the executor to be armed")
        self._wait(self._task.get_subscription_count, "the executor to listen")
        self._task.publish(String(data=TASK))
        self._wait(lambda: self._state == msg.ExecutorState.ARMED, "the policy")

    def measure(self, pages: int, stretches: Stretches, seconds: float) -> None:
        """A stretch with so many pages."""
        self._pages.reading.value, self._pages.stalled.value = pages - (pages == MANY), pages == MANY
        self._client.spin(SETTLE_S)
        heard, images, cpu_s = len(self._command_ns), self._pages.images.value, cpu_time_s(self._console_pid)
        begins_s = time.monotonic()
        self._client.spin(seconds)
        stretches.seconds += time.monotonic() - begins_s
        stretches.cpu_s += cpu_time_s(self._console_pid) - cpu_s
        stretches.images += self._pages.images.value - images
        if self._state != msg.ExecutorState.ARMED:
            raise SystemExit(f"the executor is not armed any more: {self._states[-1].reason}")
        stretches.errors_ms += period_errors_ms(self._command_ns[heard:], ROBOT.rate_hz).tolist()

    def press_stop(self, presses: int, rng: np.random.Generator) -> tuple[list[float], list[float]]:
        """Milliseconds from each STOP to the executor's state, and to the last command (0: none came after STOP)."""
        operator = Operator(self._address)
        stopped_ms, last_ms = [], []
        for _ in range(presses):
            self._wait(lambda: self._state == msg.ExecutorState.ARMED, "the policy to move the arm")
            self._client.spin(rng.uniform(0.3, 0.6))
            self._states.clear()
            pressed_ns = operator.say("stop")
            self._wait(lambda: self._state == msg.ExecutorState.STOPPED, "the stop")
            stopped = next(state for state in self._states if state.state == msg.ExecutorState.STOPPED)
            self._client.spin(0.2)  # until a late command would have come
            stopped_ms.append((header_stamp_ns(stopped) - pressed_ns) / 1e6)
            last_ms.append(max(0, self._command_ns[-1] - pressed_ns) / 1e6)
            self._wait(
                lambda: self._state == msg.ExecutorState.DISARMED, "the reset", lambda: operator.say("reset")
            )
            self._wait(
                lambda: self._state in (msg.ExecutorState.HOLDING, msg.ExecutorState.ARMED),
                "the arm",
                lambda: operator.say("arm", on=True),
            )
        operator.say("release_control")
        operator.close()
        return stopped_ms, last_ms

    @property
    def _state(self) -> int | None:
        return self._states[-1].state if self._states else None

    def _wait(self, condition: Callable[[], Any], what: str, ask: Callable[[], Any] = lambda: None) -> None:
        """Wait until the condition is true, and ask for it again and again."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            ask()
            if self._client.spin_until(condition, AGAIN_S):
                return
        reason = self._states[-1].reason if self._states else "it publishes no state"
        raise SystemExit(f"waited {PATIENCE_S:.0f} s for {what}; executor: {reason}")


def cpu_time_s(pid: int) -> float:
    """Processor time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def find_process(module: str) -> int:
    """The child process that runs a module."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_text().split("\0")
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended
            continue
        if module in words and int(parent) == os.getpid():
            return int(path.name)
    raise SystemExit(f"{module} does not run")


def write_pictures(folder: Path) -> str:
    """Pictures of each camera with new noise in each; returns the suite's option `cameras`."""
    for name in CAMERAS:
        camera = RenderedCamera(ROBOT, ROBOT.camera(name), 1000.0, 0, time.time_ns, lambda _: True)
        (folder / name).mkdir()
        for number in range(PICTURES):
            frame = camera.read()
            assert frame is not None  # only after its end
            cv2.imwrite(str(folder / name / f"{number}.jpg"), frame.image[..., ::-1], QUALITY)
    return ",".join(f"{name}={folder / name}" for name in CAMERAS)


@contextmanager
def running_suite(folder: Path) -> Iterator[str]:
    """The suite as processes; yields the console's address."""
    parameters = PATIENT | {"console": {"port": 0}}
    file = folder / "parameters.yaml"
    file.write_text(
        yaml.safe_dump({name: {"ros__parameters": values} for name, values in parameters.items()})
    )
    cameras, processes = write_pictures(folder), Processes(folder)
    with emulated_follower(folder) as port:
        options = SuiteOptions(
            port=port,
            calibration=str(CALIBRATION),
            cameras=cameras,
            policy="scripted",
            mode="armed",
            console="true",
            params_file=str(file),
        )
        try:
            for spec in suite_nodes(options):
                if spec.package == PACKAGE:
                    processes.start(spec)
            yield _address(folder / "logs" / "console.log")
            processes.check()
        finally:
            processes.stop()


def _address(log: Path) -> str:
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := re.findall(r"console for operators: (\S+)", log.read_text())):
        if time.monotonic() > deadline_s:
            raise SystemExit(f"the console does not start:\n{log.read_text()}")
        time.sleep(LOOK_S)
    return str(found[0])


def report_pages(found: dict[int, Stretches], pages: Pages) -> None:
    print(
        "| pages | console_node (% of a core) | goal | images/s of a page | period error p50 (ms) | p99 | max |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for count, stretches in found.items():
        share = 100 * stretches.cpu_s / stretches.seconds
        goal = f"< {GOALS[count]:.0f}" if count in GOALS else ""
        images = stretches.images / stretches.seconds / max(1, count - (count == MANY))
        p50, p99, most = np.percentile(stretches.errors_ms, [50, 99, 100])
        print(f"| {count} | {share:.1f} | {goal} | {images:.1f} | {p50:.3f} | {p99:.3f} | {most:.2f} |")
    ratio = np.percentile(found[MANY].errors_ms, 99) / np.percentile(found[0].errors_ms, 99)
    print(f"\np99 of the period errors with {MANY} pages / without: {ratio:.2f}")
    print(f"the console has closed the stalled page {pages.closed.value} times\n")


def report_stop(stopped_ms: list[float], last_ms: list[float]) -> None:
    print(f"| {len(stopped_ms)} x STOP, until | p50 (ms) | p99 (ms) | max (ms) |\n|---|--:|--:|--:|")
    for name, values in (("the last command", last_ms), ("the executor's state *stopped*", stopped_ms)):
        p50, p99 = np.percentile(values, [50, 99])
        print(f"| {name} | {p50:.1f} | {p99:.1f} | {max(values):.1f} |")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presses", type=int, default=100, help="of STOP")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each stretch")
    parser.add_argument("--cycles", type=int, default=3, help="stretches for each number of pages")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    spawn = multiprocessing.get_context("spawn")
    pages = Pages(*(spawn.Value("i", 0) for _ in range(4)))
    with (
        tempfile.TemporaryDirectory() as name,
        ClientNode("bench") as client,
        running_suite(Path(name)) as address,
    ):
        process = spawn.Process(target=keep_pages_open, args=(address, pages))
        process.start()
        try:
            bench = Bench(client, address, find_process("smolvla_ros.nodes.console_node"), pages)
            bench.start()
            found = {count: Stretches() for count in (0, 1, MANY)}
            for _ in range(options.cycles):
                for count, stretches in found.items():
                    bench.measure(count, stretches, options.seconds)
            pages.reading.value, pages.stalled.value = 0, 0
            times = bench.press_stop(options.presses, np.random.default_rng(options.seed))
        finally:
            pages.reading.value = -1
            process.join()
    report_pages(found, pages)
    report_stop(*times)
    return 0


if __name__ == "__main__":
    sys.exit(main())
