# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the servo bus with full telemetry: its rate, and the effect of packet faults.

Driver: the servos of an emulated arm get new positions before each reading, so that an answer of an earlier reading is
detected; a new goal is sent with every tenth reading. Each share of faulty packets is measured for each kind of fault.
Faults are counted on the emulated line and compared with the driver's counters.

Node: arm_node on an emulated bus with the transmission times of 1 Mbaud, with commands at the rate of the readings.
Latency is from the start of a reading to the DDS source timestamp of its message. The arm does not move, so any other
position is wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.arm.registers import TELEMETRY
from smolvla_ros.arm.so100 import So100Arm
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.fast_dds import set_fast_dds
from smolvla_ros.nodes.messages import joint_command_msg
from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.line_faults import LineFaults
from smolvla_ros.suite.ros_domain import reserve_domain_id
from smolvla_ros.units import load_calibration

ROOT = Path(__file__).parents[2]
ROBOT = ROOT / "config/so100.yaml"
CALIBRATION = ROOT / "config/emulated_calibration.json"
BAUDRATE = 1_000_000
FAULTS = ("lost", "corrupt", "truncated", "late", "echoed")
READINGS_PER_GOAL = 10


def drive(faults: LineFaults, seconds: float) -> list[str]:
    """Read and command as fast as possible on a line with faults; returns the cells of a table row."""
    calibration = load_calibration(CALIBRATION)
    units = RobotSpec.load(ROBOT).units(calibration)
    rng = random.Random(0)
    readings = complete = wrong = goals = lost_goals = 0
    with EmulatedArm(calibration, clock_ns=lambda: 0, baudrate=BAUDRATE) as emulated:
        arm = So100Arm(FeetechBus(emulated.port), units)
        arm.connect()
        arm.enable_torque()
        servos = list(emulated.servos.values())
        before = missed_answers(arm)
        emulated.faults = faults
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s or readings % READINGS_PER_GOAL:
            if readings % READINGS_PER_GOAL == 0:
                goal_ticks = [
                    rng.randrange(motor.range_min, motor.range_max) for motor in calibration.values()
                ]
                rad = [joint.ticks_to_rad(float(tick)) for joint, tick in zip(units, goal_ticks, strict=True)]
                arm.write(np.array(rad))
                goals += 1
            truth = np.array([rng.randrange(4096) for _ in servos])
            for servo, tick in zip(servos, truth, strict=True):
                servo.position_ticks = float(tick)
            reading = arm.read()
            arm.restore(reading)
            wrong += int((reading.position_ticks != truth)[reading.valid].sum())
            complete += bool(reading.valid.all())
            readings += 1
            if readings % READINGS_PER_GOAL == 0:
                emulated.faults = LineFaults()  # the servos' goals are read without faults
                lost_goals += [servo.value("Goal_Position") for servo in servos] != goal_ticks
                emulated.faults = faults
        counted = missed_answers(arm) - before
        faulty = sum(faults.unanswered.values())
        emulated.faults = LineFaults()
        repeated = int(arm.read().repeated_writes.sum())
        arm.close()
    return [
        f"{readings / seconds:.0f}",
        f"{100 * complete / readings:.2f}",
        str(wrong),
        f"{goals}",
        f"{lost_goals}",
        f"{repeated}",
        f"{faulty}",
        f"{counted}",
    ]


def missed_answers(arm: So100Arm) -> int:
    """Number of answers that the driver has counted as missing so far."""
    return sum(c.retries + c.communication_errors for c in arm.bus.counters.values())


class JointStateMonitor:
    """Records joint states, and commands the arm to stay at its pose."""

    def __init__(self, rate_hz: float) -> None:
        rclpy.init()
        self.node = Node("bench")
        self.stamps_ns: list[int] = []
        self.latencies_ms: list[float] = []
        self.positions: list[tuple[float, ...]] = []
        self.partial = 0
        self._joint_names = RobotSpec.load(ROBOT).joint_names
        states, commands = topics.JOINT_STATES, topics.JOINT_COMMANDS
        self.node.create_subscription(states.type, states.name, self._on_joint_state, states.subscribe)
        self._commands = self.node.create_publisher(commands.type, commands.name, commands.publish)
        self.node.create_timer(1 / rate_hz, self._command)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def _on_joint_state(self, message: Any, info: Any) -> None:
        stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        self.stamps_ns.append(stamp_ns)
        self.latencies_ms.append((info["source_timestamp"] - stamp_ns) / 1e6)
        if len(message.name) == len(self._joint_names):
            self.positions.append(tuple(message.position))
        else:
            self.partial += 1

    def _command(self) -> None:
        if self.positions:
            now_ns = self.node.get_clock().now().nanoseconds
            self._commands.publish(joint_command_msg(self._joint_names, now_ns, np.array(self.positions[0])))

    def spin(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self._executor.spin_once(timeout_sec=0.05)

    def clear(self) -> None:
        for values in (self.stamps_ns, self.latencies_ms):
            values.clear()
        del self.positions[1:]
        self.partial = 0

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()


@contextmanager
def program(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of the suite, and end it by SIGINT."""
    process = subprocess.Popen([sys.executable, "-m", f"smolvla_ros.{module}", *arguments], cwd=ROOT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def check_running(process: subprocess.Popen[bytes]) -> None:
    """Exit if a program that this one waits for has ended."""
    if process.poll() is not None:
        sys.exit(f"{process.args} has ended (exit code {process.returncode})")


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """CPU time of a process so far, s."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_node(share: float, rate_hz: float, seconds: float) -> list[str]:
    """Run arm_node with half of `share` of packets lost, half damaged; returns the cells of a table row."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "so100"
        line = [f"--lost={share / 2}", f"--corrupt={share / 2}", f"--baudrate={BAUDRATE}"]
        values = {"robot": ROBOT, "port": link, "calibration": CALIBRATION, "rate_hz": rate_hz}
        parameters = [text for key, value in values.items() for text in ("-p", f"{key}:={value}")]
        with program(
            "simulation.emulated_arm", f"--calibration={CALIBRATION}", f"--link={link}", *line
        ) as arm:
            while not link.exists():
                check_running(arm)
                time.sleep(0.05)
            with program("nodes.arm_node", "--ros-args", "--log-level", "fatal", *parameters) as node:
                monitor = JointStateMonitor(rate_hz)
                while len(monitor.positions) < rate_hz:
                    check_running(node)
                    monitor.spin(0.1)
                monitor.clear()
                cpu, wall_s = cpu_s(node), time.monotonic()
                monitor.spin(seconds)
                cpu, wall_s = cpu_s(node) - cpu, time.monotonic() - wall_s
                monitor.close()
    p50, p99 = np.percentile(monitor.latencies_ms, [50, 99])
    wrong = sum(np.abs(np.array(row) - monitor.positions[0]).max() > 1e-9 for row in monitor.positions)
    return [
        f"{len(monitor.stamps_ns) / wall_s:.1f}",
        f"{100 * cpu / wall_s:.1f}",
        f"{p50:.2f}",
        f"{p99:.2f}",
        f"{max(monitor.latencies_ms):.1f}",
        str(monitor.partial),
        str(wrong),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="duration of each row; the requirement is 600"
    )
    parser.add_argument("--rate", type=float, default=100.0, help="rate of the node, Hz")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.01, 0.1], help="shares of faulty packets, 0 .. 1"
    )
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=FAULTS, help="rows of the driver")
    options = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    set_fast_dds()

    print(f"Driver, {options.seconds:g} s a row\n")
    print(
        "| packets | readings/s | complete (%) | wrong values | goals sent | lost | written again | answers spoilt "
        "| counted |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    for share in options.shares:
        for fault in options.faults:
            cells = drive(LineFaults(**{fault: share}, seed=1), options.seconds)
            print(f"| {100 * share:g} % {fault} | {' | '.join(cells)} |", flush=True)

    print(
        f"\nNode, {len(TELEMETRY)} registers x 6 servos at {options.rate:g} Hz, {options.seconds:g} s a row\n"
    )
    print(
        "| packets | joint states/s | CPU (% of a core) | read to publish p50 (ms) | p99 (ms) | max (ms) | partial "
        "| wrong |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    for share in (0.0, *options.shares):
        cells = run_node(share, options.rate, options.seconds)
        what = f"{50 * share:g} % lost, {50 * share:g} % corrupt" if share else "all good"
        print(f"| {what} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
