# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy on another computer: chunks per second, starvation, age of chunks, and recovery after the line was cut.

Two network namespaces are the two computers, with a relay between them (needs root). On the first one a process sends
the images of two cameras of 640x480 pixels, as JPEG, and joint states, and the executor runs in shadow mode, which asks
and plans as when it moves an arm; on the second one runs the policy node. Ages are from the newest image of the
observation to the arrival of the chunk; both computers have one clock. Starved is the share of control periods without
an action. Recovery is from the end of the cut to the first chunk for what was seen after it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from std_msgs.msg import String

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.nodes.fast_dds import PROFILE, RANGE
from smolvla_ros.nodes.messages import compressed_image_msg, joint_state_msg
from smolvla_ros.nodes.rendered_camera import RenderedCamera
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.share import find_robot_file
from smolvla_ros.suite.node_spec import NodeSpec, command_line, main_module, parameter_text
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.suite.programs import policy_nodes
from smolvla_ros.wire import nanoseconds

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
NO_SETTINGS = '<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"><profiles/></dds>'
CAMERAS, PICTURES, IMAGE_HZ, CONTROL_HZ = ("top", "wrist"), 8, 15.0, 30.0
START_S, SETTLE_S, RECOVERY_S = 90.0, 3.0, 60.0


@dataclass(frozen=True)
class Contender:
    """A way to have the policy elsewhere."""

    jpeg_quality: int
    variables: dict[str, str] = field(default_factory=dict)  # without: what the package sets for network:=lan


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


def be_robot(jpeg_quality: int) -> None:
    """Publish what the policy needs, give the executor a task, and print a line for every chunk and executor state."""
    client = ClientNode("bench")
    robot = RobotSpec.load(find_robot_file(""))
    middle_rad = np.array([joint.middle_rad for joint in robot.joints])
    joints = joint_state_msg(robot.joint_names, Joints(0, middle_rad, np.zeros_like(middle_rad)))

    def on_chunk(chunk: Any) -> None:
        age_s = (client.now_ns() - nanoseconds(chunk.observation_stamp)) / NANOSECONDS
        print("chunk", time.monotonic(), age_s, flush=True)

    def on_state(state: Any) -> None:
        counts = (state.chunks_accepted, sum(state.rejected_counts), state.starved_periods)
        print("state", time.monotonic(), *counts, flush=True)

    def publish_joints() -> None:
        joints.header.stamp = client.node.get_clock().now().to_msg()
        states.publish(joints)

    def publish_images() -> None:
        stamp = client.node.get_clock().now().to_msg()
        for publisher, pictures in images:
            picture = next(pictures)
            picture.header.stamp = stamp
            publisher.publish(picture)

    with client:
        states = client.publisher(topics.JOINT_STATES)
        topic = topics.IMAGE_COMPRESSED
        images = [
            (client.publisher(topic, f"/{name}/{topic.name}"), cycle(pictures(robot, name, jpeg_quality)))
            for name in CAMERAS
        ]
        client.subscribe(topics.ACTION_CHUNK, on_chunk)
        client.subscribe(topics.EXECUTOR_STATE, on_state)
        client.node.create_timer(1.0 / CONTROL_HZ, publish_joints)
        client.node.create_timer(1.0 / IMAGE_HZ, publish_images)
        task = client.publisher(topics.TASK)
        client.spin_until(task.get_subscription_count, START_S)
        task.publish(String(data="pick up the red cube"))
        with suppress(KeyboardInterrupt):
            client.spin(float("inf"))


def pictures(robot: RobotSpec, name: str, jpeg_quality: int) -> list[Any]:
    """What a camera of the robot would see, with new noise in each image, as messages."""
    spec = robot.camera(name)
    camera = RenderedCamera(robot, spec, 1000.0, 0, time.time_ns, lambda _: True)
    frames = [camera.read() for _ in range(PICTURES)]
    return [compressed_image_msg(frame, spec.frame_id, jpeg_quality) for frame in frames if frame]


def start(
    computer: Computer, spec: NodeSpec, folder: Path, variables: dict[str, str]
) -> subprocess.Popen[str]:
    parameter_file = folder / f"{spec.label}.yaml"
    parameter_file.write_text(parameter_text(spec), encoding="utf-8")
    line = command_line(spec, [sys.executable, "-m", main_module(spec)], parameter_file)
    with (folder / f"{spec.label}.log").open("w") as log:
        return subprocess.Popen(
            computer.command(*line), env=environment(variables), stdout=log, stderr=log, text=True
        )


def environment(variables: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != PROFILE}
    return kept | {RANGE: "SUBNET", "ROS_DOMAIN_ID": "1"} | variables


@contextmanager
def running(
    contender: Contender, robot: Computer, other: Computer, options: argparse.Namespace, folder: Path
) -> Iterator[Path]:
    """Run executor and policy on two computers; yields the log of `be_robot`."""
    params_file = folder / "params.yaml"
    params_file.write_text(yaml.safe_dump({"/executor": {"ros__parameters": {"trigger": options.trigger}}}))
    suite = SuiteOptions(
        sim=True,
        policy="" if options.checkpoint else "scripted",
        checkpoint=options.checkpoint,
        policy_cameras=",".join(CAMERAS),
        mode="shadow",
        params_file=str(params_file),
    )
    log = folder / "robot.log"
    processes: list[subprocess.Popen[str]] = []
    try:
        for spec in policy_nodes(suite):
            computer = other if spec.name == "policy" else robot
            processes.append(start(computer, spec, folder, contender.variables))
        command = robot.command(sys.executable, __file__, "--robot", str(contender.jpeg_quality))
        with log.open("w") as output:
            processes.append(
                subprocess.Popen(command, env=environment(contender.variables), stdout=output, text=True)
            )
        deadline_s = time.monotonic() + START_S
        while log.read_text().count("chunk") < 3:
            assert time.monotonic() < deadline_s, [file.read_text()[-2000:] for file in folder.glob("*.log")]
            time.sleep(0.1)
        yield log
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


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


def recovery(relay: Relay, log: Path, cut_s: float) -> str:
    """Cells of a row: seconds until it goes on, chunks that were rejected because they came late."""
    relay.line = CONDITIONS["20 +- 10 ms"]
    time.sleep(SETTLE_S)
    start_s = time.monotonic()
    relay.cut = True
    time.sleep(cut_s)
    relay.cut = False
    end_s = time.monotonic()
    while time.monotonic() < end_s + RECOVERY_S:
        time.sleep(0.1)
        events = Events.read(log, start_s, time.monotonic())
        observed_s = events.chunks[:, 0] - events.chunks[:, 1]
        if len(new := events.chunks[observed_s > end_s, 0]):
            rejected = events.states[-1, 2] - events.states[0, 2]
            return f"{new[0] - end_s:.1f} | {rejected:.0f}"
    return f"> {RECOVERY_S:.0f} | -"


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Print the tables; raises NoNamespacesError."""
    defaults = folder / "defaults.xml"
    defaults.write_text(NO_SETTINGS)
    contenders = {
        "DDS, its defaults on UDP": Contender(
            90, {PROFILE: str(defaults), "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}
        ),
        "DDS, fastdds_lan.xml": Contender(90),
        "DDS, fastdds_lan.xml, JPEG quality 50": Contender(50),
    }
    recoveries: list[str] = []
    print("| line | policy over | chunks/s | starved | age p50 (ms) | age p99 (ms) | Mbit/s |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for number, (name, contender) in enumerate(contenders.items()):
        own = folder / str(number)
        own.mkdir()
        with (
            two_computers() as (robot, other),
            relayed(robot, other, Line()) as relay,
            running(contender, robot, other, options, own) as log,
        ):
            for condition, line in CONDITIONS.items():
                print(f"| {condition} | {name} | {measured(relay, log, line, options.seconds)} |", flush=True)
            recoveries += [f"| {cut_s:.0f} s | {name} | {recovery(relay, log, cut_s)} |" for cut_s in CUTS_S]
    print("\n| cut | policy over | recovery (s) | chunks rejected |\n|---|---|--:|--:|")
    print("\n".join(recoveries))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each row (default: %(default)s)")
    parser.add_argument(
        "--checkpoint", default="", help="the policy; default: a scripted one, inferred in no time"
    )
    parser.add_argument(
        "--trigger", default="threshold", help="when the executor asks (default: %(default)s)"
    )
    parser.add_argument("--robot", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.robot:
        be_robot(options.robot)
        return 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            compare(options, Path(folder))
    except NoNamespacesError as error:
        print(f"not measured: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
