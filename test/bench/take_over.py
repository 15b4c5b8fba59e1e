# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure how softly person and policy change places, at random moments.

Executor, arm, leader arm and teleoperation run as they do on a robot, on two emulated servo buses; the bench is the
policy, which moves the arm all the time, and the hand, which moves the leader at once to a random pose. Steps and
speeds are those of the commands within a second of each change of control, and of the joints meanwhile. After a fault,
as of a servo that a busy computer did not let answer, the arm is armed anew; changes of control near it are left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import smolvla_ros.msg as msg
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from smolvla_ros.arrays import BoolArray, FloatArray, IntArray
from smolvla_ros.chunk import ActionChunk
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.nodes.executor_client import arm_after_fault
from smolvla_ros.nodes.messages import action_chunk_msg
from smolvla_ros.nodes.service_caller import ServiceCaller
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import PACKAGE, share_folder
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.suite.processes import Processes
from smolvla_ros.suite.programs import suite_nodes
from smolvla_ros.suite.ros_domain import reserve_domain_id
from smolvla_ros.units import load_calibration
from smolvla_ros.wire import WireError, header_stamp_ns, joints_from_msg

CALIBRATION = share_folder() / "config" / "emulated_calibration.json"
ROBOT = RobotSpec.load(share_folder() / "config" / "so100.yaml")
TASK = "go anywhere"
EVERY_ONE = QoSProfile(depth=1000)
STEPS, STEP_NS = 60, 33_333_333  # of a chunk
AMPLITUDE_RAD = 0.4
WINDOW_S, CLEAR_S = 1.0, 2.0
PATIENCE_S, TRIES = 60.0, 20
SERVICE_S = 10.0


class Bench:
    """The policy and the hand, and what they see."""

    def __init__(self, client: ClientNode, leader: EmulatedArm, seed: int) -> None:
        self._client, self._leader = client, leader
        self._rng = np.random.default_rng(seed)
        self.commands: list[tuple[int, FloatArray]] = []
        self.measured: list[tuple[int, FloatArray]] = []
        self.changes: list[tuple[int, str]] = []
        self.faults = 0
        self._reason, self._has_fault = "", False
        self._task = client.publisher(topics.TASK)
        self._chunks = client.publisher(topics.ACTION_CHUNK)
        self._services = ServiceCaller(
            client.node, "executor", {"take_over": SetBool, "arm": SetBool, "reset": Trigger}
        )
        for topic, kept in ((topics.JOINT_COMMANDS, self.commands), (topics.JOINT_STATES, self.measured)):
            client.node.create_subscription(topic.type, topic.name, self._keep(kept), EVERY_ONE)
        client.subscribe(topics.CHUNK_REQUEST, self._on_request)
        client.subscribe(topics.CONTROL_AUTHORITY, self._on_authority)
        client.subscribe(topics.EXECUTOR_STATE, self._on_state)

    def run(self, moments: int) -> None:
        """So many take-overs, each given back."""
        self._wait(lambda: self.measured and self._task.get_subscription_count(), "the nodes")
        self._task.publish(String(data=TASK))
        while len(self.changes_to("operator")) < moments:
            if self._has_fault:
                self._arm_anew()
            self._wait(lambda: self._has("policy") and not self._reason, "the policy to move the arm")
            self._client.spin(self._rng.uniform(1.2, 2.5))
            self._take_over()
            self._client.spin(self._rng.uniform(0.5, 1.5))
            self._services.call("take_over", lambda _: None, data=False)
            self._wait(lambda: self._has("policy"), "the policy's control")

    def changes_to(self, who: str) -> IntArray:
        """When `who` got control from the other (ns), with a second and more of neither fault nor start around it."""
        other = {"operator": "policy", "policy": "operator"}[who]
        ends_ns = [stamp for stamp, to in self.changes if to == "none"]
        return np.array(
            [
                stamp
                for (_, before), (stamp, to) in zip(self.changes, self.changes[1:], strict=False)
                if (before, to) == (other, who)
                and not any(abs(stamp - end) < CLEAR_S * 1e9 for end in ends_ns)
            ],
            np.int64,
        )

    def _arm_anew(self) -> None:
        self.faults += 1
        if problem := arm_after_fault(self._services, self._client.spin_until, SERVICE_S):
            raise SystemExit(f"the arm cannot be armed after a fault: {problem}")

    def _has(self, who: str) -> bool:
        return bool(self.changes) and self.changes[-1][1] == who

    def _wait(self, condition: Callable[[], Any], what: str) -> None:
        if not self._client.spin_until(lambda: condition() or self._has_fault, PATIENCE_S):
            raise SystemExit(f"waited {PATIENCE_S:.0f} s for {what}; {self._reason}")

    def _take_over(self) -> None:
        """Move the leader, and again if it was not seen: joint states may be missing on a busy computer.

        Returns after a fault too.
        """
        for _ in range(TRIES):
            self._move_leader()
            if self._client.spin_until(lambda: self._has("operator") or self._has_fault, PATIENCE_S / TRIES):
                return
        raise SystemExit(f"the leader was moved {TRIES} times and has no control; {self._reason}")

    def _move_leader(self) -> None:
        """The hand moves all joints at once, further than anything softer would."""
        for servo, motor in zip(
            self._leader.servos.values(), load_calibration(CALIBRATION).values(), strict=True
        ):
            servo.position_ticks = motor.mid_tick + self._rng.uniform(-0.35, 0.35) * (
                motor.range_max - motor.range_min
            )

    def _keep(self, kept: list[tuple[int, FloatArray]]) -> Callable[[Any], None]:
        def keep(message: Any) -> None:
            try:
                joints = joints_from_msg(message, ROBOT.joint_names)
            except WireError:
                return
            kept.append((header_stamp_ns(message), joints.positions_rad))

        return keep

    def _on_request(self, request: Any) -> None:
        """From where the arm stands to a random pose, smoothly."""
        start = self.measured[-1][1]
        middle = np.array([joint.middle_rad for joint in ROBOT.joints])
        goal = middle + self._rng.uniform(-AMPLITUDE_RAD, AMPLITUDE_RAD, len(middle))
        share = (1 - np.cos(np.linspace(0.0, np.pi, STEPS)))[:, None] / 2
        now_ns = self._client.now_ns()
        chunk = ActionChunk(
            positions=start + share * (goal - start),
            joint_names=ROBOT.joint_names,
            observation_stamp_ns=now_ns,
            step_duration_ns=STEP_NS,
            chunk_id=request.request_id,
            request_id=request.request_id,
            task=request.task,
        )
        self._chunks.publish(action_chunk_msg(chunk, now_ns))

    def _on_authority(self, message: String) -> None:
        self.changes.append((self._client.now_ns(), message.data))

    def _on_state(self, state: Any) -> None:
        self._reason = state.reason
        self._has_fault = state.state == msg.ExecutorState.FAULT


def report(bench: Bench) -> None:
    config = ExecutorConfig()
    period_s = 1.0 / config.rate_hz
    print(f"limits: {config.max_step_rad} rad a period, {config.max_acceleration_rad_s2} rad/s2\n")
    print(
        "| control | changes | step (rad) | speed (rad/s) | acceleration (rad/s2) | speed of a joint (rad/s) |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    stamps = np.array([stamp for stamp, _ in bench.commands])
    steps = np.diff([goals for _, goals in bench.commands], axis=0, prepend=bench.commands[0][1][None])
    accelerations = np.diff(steps, axis=0, prepend=steps[:1]) / period_s**2
    measured_ns = np.array([stamp for stamp, _ in bench.measured])
    speeds = np.gradient([joints for _, joints in bench.measured], measured_ns / 1e9, axis=0)
    for name, who in (("policy to person", "operator"), ("person to policy", "policy")):
        moments = bench.changes_to(who)
        near, near_measured = is_near(stamps, moments), is_near(measured_ns, moments)
        step, acceleration = (np.abs(values[near]).max() for values in (steps, accelerations))
        speed = np.abs(speeds[near_measured]).max()
        print(
            f"| {name} | {len(moments)} | {step:.3f} | {step / period_s:.2f} | {acceleration:.1f} | {speed:.2f} |"
        )

    print(f"\nfaults, after which the arm was armed anew: {bench.faults}")


def is_near(stamps_ns: IntArray, moments_ns: IntArray) -> BoolArray:
    """Which stamps lie within WINDOW_S of any of the moments."""
    found: BoolArray = (np.abs(stamps_ns[:, None] - moments_ns) < WINDOW_S * 1e9).any(axis=1)
    return found


@contextmanager
def emulated_follower(folder: Path) -> Iterator[str]:
    """The port of an emulated arm in a process of its own."""
    link = folder / "follower"
    arguments = [
        "-m",
        "smolvla_ros.simulation.emulated_arm",
        "--calibration",
        str(CALIBRATION),
        "--link",
        str(link),
    ]
    process = subprocess.Popen([sys.executable, *arguments])
    try:
        while not link.exists():
            time.sleep(0.05)
        yield str(link)
    finally:
        process.terminate()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moments", type=int, default=100, help="take-overs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    with tempfile.TemporaryDirectory() as name:
        folder, processes = Path(name), Processes(Path(name))
        with (
            EmulatedArm(load_calibration(CALIBRATION), link=folder / "leader") as leader,
            emulated_follower(folder) as port,
            ClientNode("bench") as client,
        ):
            suite = SuiteOptions(
                port=port,
                calibration=str(CALIBRATION),
                leader_port=str(leader.port),
                leader_calibration=str(CALIBRATION),
                mode="armed",
            )
            try:
                for spec in suite_nodes(suite):
                    if spec.package == PACKAGE:
                        processes.start(spec)
                bench = Bench(client, leader, options.seed)
                bench.run(options.moments)
                processes.check()
            finally:
                processes.stop()
            report(bench)
    return 0


if __name__ == "__main__":
    sys.exit(main())
