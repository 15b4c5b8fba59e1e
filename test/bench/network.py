# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy on another computer: chunks per second, starvation, age of chunks, and recovery after the line was cut.

Two network namespaces are the two computers, with a relay between them (needs root). On the first one a process sends
the images of two cameras of 640x480 pixels, as JPEG, and joint states, and the executor runs in shadow mode, which asks
and plans as when it moves an arm; on the second one runs the policy node. Ages are from the newest image of the
observation to the arrival of the chunk; both computers have one clock. Starved is the share of control periods without
an action. Recovery is from the end of the cut to the first chunk for what was seen after it.

With the policy server the policy node is on the first computer, and on the second one the server, without encryption.
What computes on the second computer, node or server, is also killed and started again: recovery is from that start.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from contenders.robot_of_network import CAMERAS, CONTROL_HZ

from smolvla_ros.nodes.fast_dds import PROFILE, RANGE
from smolvla_ros.share import CHECKPOINT
from smolvla_ros.suite.node_spec import NodeSpec, command_line, main_module, parameter_text
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.suite.programs import policy_nodes

sys.path.insert(0, str(Path(__file__).parents[1]))
from two_computers.namespaces import Computer, NoNamespacesError, two_computers  # noqa: E402
from two_computers.relay import Line, Relay, relayed  # noqa: E402

DELAY = {"delay_s": 0.020, "jitter_s": 0.010}
CONDITIONS = {
    "no delay": Line(),
    "20 +- 10 ms": Line(**DELAY),
    "20 +- 10 ms, 1 % lost": Line(**DELAY, loss=0.01),
    "20 +- 10 ms, 5 % lost": Line(**DELAY, loss=0.05),
    "20 +- 10 ms, 20 Mbit/s": Line(**DELAY, rate_bit_s=20e6),
    "20 +- 10 ms, 5 Mbit/s": Line(**DELAY, rate_bit_s=5e6),
}
CUTS_S = (5.0, 15.0)
KILLED_S = 5.0
PORT = 50051  # of the policy server
NO_SETTINGS = '<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"><profiles/></dds>'
ROBOT = Path(__file__).with_name("contenders") / "robot_of_network.py"
START_S, SETTLE_S, RECOVERY_S = 90.0, 3.0, 60.0


def fast_dds_defaults(folder: Path) -> dict[str, str]:
    """The environment variables for Fast DDS as it is, on UDP; writes a profile without settings to `folder`."""
    profile = folder / "defaults.xml"
    profile.write_text(NO_SETTINGS, encoding="utf-8")
    return {PROFILE: str(profile), "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}


@dataclass(frozen=True)
class Contender:
    """A way to have the policy elsewhere."""

    jpeg_quality: int
    variables: dict[str, str] = field(default_factory=dict)  # without: what the package sets for network:=lan
    is_server: bool = False  # a policy server, else the policy node


@dataclass(frozen=True)
class Events:
    """What the observer on the robot's computer has noted; times in seconds of the monotonic clock."""

    chunks: np.ndarray[Any, np.dtype[np.float64]]  # (n, 2): arrival, age (s)
    states: np.ndarray[
        Any, np.dtype[np.float64]
    ]  # (n, 4): arrival, chunks accepted, chunks rejected, starved

    @property
    def ages_s(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """At least one: NaN if no chunk has come."""
        return self.chunks[:, 1] if len(self.chunks) else np.array([np.nan])

    @classmethod
    def read(cls, log: Path, start_s: float, end_s: float) -> Events:
        rows: dict[str, list[list[float]]] = {"chunk": [], "state": []}
        for line in log.read_text().splitlines():
            kind, *values = line.split()
            if kind in rows and start_s <= float(values[0]) <= end_s:
                rows[kind].append([float(value) for value in values])
        return cls(np.array(rows["chunk"]).reshape(-1, 2), np.array(rows["state"]).reshape(-1, 4))


def started(
    computer: Computer, words: list[str], log: Path, variables: dict[str, str]
) -> subprocess.Popen[str]:
    with log.open("a") as output:
        command = computer.command(*words)
        return subprocess.Popen(command, env=environment(variables), stdout=output, stderr=output, text=True)


def node_words(spec: NodeSpec, folder: Path) -> list[str]:
    """The command line of a node."""
    parameter_file = folder / f"{spec.label}.yaml"
    parameter_file.write_text(parameter_text(spec), encoding="utf-8")
    return command_line(spec, [sys.executable, "-m", main_module(spec)], parameter_file)


def server_words(checkpoint: str) -> list[str]:
    """The command line of the policy server."""
    module = [sys.executable, "-m", "smolvla_ros.tools.policy_server", checkpoint]
    return [*module, "--address", f"0.0.0.0:{PORT}", "--insecure"]


def environment(variables: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != PROFILE}
    return kept | {RANGE: "SUBNET", "ROS_DOMAIN_ID": "1"} | variables


class Running:
    """Executor and policy on two computers; `log`: of robot_of_network.py."""

    def __init__(
        self,
        contender: Contender,
        robot: Computer,
        other: Computer,
        options: argparse.Namespace,
        folder: Path,
    ) -> None:
        self._folder, self._other, self._variables = folder, other, contender.variables
        self.log = folder / "robot.log"
        nodes = {spec.name: node_words(spec, folder) for spec in specs(contender, other, options, folder)}
        self._policy_words = server_words(options.checkpoint) if contender.is_server else nodes.pop("policy")
        self.start_policy()
        here = [(words, folder / f"{name}.log") for name, words in nodes.items()]
        here.append(([sys.executable, str(ROBOT), str(contender.jpeg_quality)], self.log))
        self._robot = [started(robot, words, log, contender.variables) for words, log in here]

    def start_policy(self) -> None:
        """Start what computes on the other computer."""
        log = self._folder / "computing.log"
        self._policy = started(self._other, self._policy_words, log, self._variables)

    def kill_policy(self) -> None:
        self._policy.kill()
        self._policy.wait()

    def wait_for_chunks(self) -> None:
        deadline_s = time.monotonic() + START_S
        while not self.log.exists() or self.log.read_text().count("chunk") < 3:
            logs = [file.read_text()[-2000:] for file in self._folder.glob("*.log")]
            assert time.monotonic() < deadline_s, logs
            time.sleep(0.1)

    def stop(self) -> None:
        for process in (*self._robot, self._policy):
            process.send_signal(signal.SIGINT)
        for process in (*self._robot, self._policy):
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def specs(
    contender: Contender, other: Computer, options: argparse.Namespace, folder: Path
) -> tuple[NodeSpec, ...]:
    """Executor and policy node."""
    params_file = folder / "params.yaml"
    asks = {"trigger": options.trigger, "threshold": options.threshold}
    params_file.write_text(yaml.safe_dump({"/executor": {"ros__parameters": asks}}))
    remote = {"server": f"{other.address}:{PORT}", "credentials": "insecure"} if contender.is_server else {}
    return policy_nodes(
        SuiteOptions(
            sim=True,
            policy="remote" if remote else "" if options.checkpoint else "scripted",
            checkpoint=options.checkpoint,
            policy_cameras=",".join(CAMERAS),
            mode="shadow",
            params_file=str(params_file),
            **remote,
        )
    )


@contextmanager
def running(*arguments: Any) -> Iterator[Running]:
    """As `Running`, with the first chunks."""
    suite = Running(*arguments)
    try:
        suite.wait_for_chunks()
        yield suite
    finally:
        suite.stop()


def measured(relay: Relay, log: Path, line: Line, seconds: float) -> str:
    """Cells of a row: chunks/s, starved, ages, traffic."""
    relay.line = line
    time.sleep(SETTLE_S)
    before, start_s = relay.counts.bytes, time.monotonic()
    time.sleep(seconds)
    traffic = (relay.counts.bytes - before) * 8e-6 / seconds
    events = Events.read(log, start_s, start_s + seconds)
    p50, p99 = (f"{1e3 * age:.0f}" for age in np.percentile(events.ages_s, [50, 99]))
    accepted, _, starved = events.states[-1, 1:] - events.states[0, 1:]
    share = starved / CONTROL_HZ / (events.states[-1, 0] - events.states[0, 0])
    cells = (f"{accepted / seconds:.2f}", f"{100 * share:.0f} %", p50, p99, f"{traffic:.1f}")
    return " | ".join(cells)


def cut(relay: Relay, _: Running, cut_s: float) -> None:
    """Cut the line for a while."""
    relay.cut = True
    time.sleep(cut_s)
    relay.cut = False


def kill(_: Relay, suite: Running, killed_s: float) -> None:
    """Kill what computes, and start it again after a while."""
    suite.kill_policy()
    time.sleep(killed_s)
    suite.start_policy()


EVENTS = {
    **{f"cut of {cut_s:.0f} s": partial(cut, cut_s=cut_s) for cut_s in CUTS_S},
    f"killed, started after {KILLED_S:.0f} s": partial(kill, killed_s=KILLED_S),
}


def recovery(relay: Relay, suite: Running, event: Callable[[Relay, Running], None]) -> str:
    """Cells of a row: seconds until it goes on, chunks that were rejected because they came late."""
    relay.line = CONDITIONS["20 +- 10 ms"]
    time.sleep(SETTLE_S)
    start_s = time.monotonic()
    event(relay, suite)
    end_s = time.monotonic()
    while time.monotonic() < end_s + RECOVERY_S:
        time.sleep(0.1)
        events = Events.read(suite.log, start_s, time.monotonic())
        observed_s = events.chunks[:, 0] - events.chunks[:, 1]
        if len(new := events.chunks[observed_s > end_s, 0]):
            rejected = events.states[-1, 2] - events.states[0, 2]
            return f"{new[0] - end_s:.1f} | {rejected:.0f}"
    return f"> {RECOVERY_S:.0f} | -"


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Print the tables; raises NoNamespacesError."""
    contenders = {
        "DDS, its defaults on UDP": Contender(90, fast_dds_defaults(folder)),
        "DDS, fastdds_lan.xml": Contender(90),
        "DDS, fastdds_lan.xml, JPEG quality 50": Contender(50),
        "policy server": Contender(90, {RANGE: "LOCALHOST"}, is_server=True),
    }
    left_out = () if options.checkpoint else ("policy server",)
    recoveries: list[str] = []
    print("| line | policy over | chunks/s | starved | age p50 (ms) | age p99 (ms) | Mbit/s |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for number, (name, contender) in enumerate(contenders.items()):
        if name in left_out or options.only not in name:
            continue
        own = folder / str(number)
        own.mkdir()
        with (
            two_computers() as (robot, other),
            relayed(robot, other, Line()) as relay,
            running(contender, robot, other, options, own) as suite,
        ):
            for condition, line in CONDITIONS.items():
                cells = measured(relay, suite.log, line, options.seconds)
                print(f"| {condition} | {name} | {cells} |", flush=True)
            recoveries += [
                f"| {event} | {name} | {recovery(relay, suite, happen)} |" for event, happen in EVENTS.items()
            ]
    print("\n| event | policy over | recovery (s) | chunks rejected |\n|---|---|--:|--:|")
    print("\n".join(recoveries))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each row (default: %(default)s)")
    parser.add_argument(
        "--checkpoint",
        default=CHECKPOINT,
        help="the policy; empty: a scripted one, inferred in no time, and no policy server (default: %(default)s)",
    )
    parser.add_argument("--only", default="", help="policies over what has this in its name, such as server")
    parser.add_argument(
        "--trigger", default="threshold", help="when the executor asks (default: %(default)s)"
    )
    parser.add_argument(
        "--threshold", type=float, default=0.7, help="share of a chunk left then (default: %(default)s)"
    )
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            compare(options, Path(folder))
    except NoNamespacesError as error:
        print(f"not measured: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
