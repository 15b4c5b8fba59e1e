# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Move the arm joint by joint from the keyboard, where there is no leader arm.

Usage:
    ros2 run smolvla_ros jog [--robot so101] [--ros-args -r __ns:=/my_robot]

Keys: 1 .. 6 choose a joint, + and - (or the arrows right and left) move it by a step, f coarse or fine steps, space
stop here, q quit (the arm holds). Nothing is sent before the first step, nor while another program commands the arm.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from smolvla_ros.execution.command_shaper import CommandShaper
from smolvla_ros.execution.teleoperation import TeleoperationConfig
from smolvla_ros.execution.trajectory import FloatArray
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.command_refusals import CommandRefusals
from smolvla_ros.nodes.fast_dds import set_fast_dds
from smolvla_ros.nodes.messages import joint_command_msg
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.suite.command_line import add_options, load_robot
from smolvla_ros.terminal.keys import ESCAPE_SEQUENCE, cbreak_mode, read_pending_keys
from smolvla_ros.wire import WireError, joints_from_msg

STEPS_RAD = (0.02, 0.1)  # fine, coarse
SETTINGS = TeleoperationConfig(max_step_rad=0.01, max_acceleration_rad_s2=4.0, soft_start_s=0.5)
ARROWS = {"\x1b[C": "+", "\x1b[D": "-"}
KEYS = "1..6 joint   + - move   f coarse/fine   space stop   q quit"


class Jog:
    """Where the keys want the arm to be, and the command that goes there softly. Time is an argument."""

    def __init__(self, robot: RobotSpec) -> None:
        self._robot = robot
        self._follower = CommandShaper(SETTINGS, robot)
        self._target_rad: FloatArray | None = None  # None: nothing was asked for yet
        self.joints: Joints | None = None
        self.joint, self.step_rad = 0, STEPS_RAD[0]

    def press(self, key: str) -> None:
        """Do what a key stands for; unknown ones do nothing."""
        if key.isdecimal() and 1 <= int(key) <= len(self._robot.joints):
            self.joint = int(key) - 1
        elif key == "f":
            self.step_rad = STEPS_RAD[self.step_rad == STEPS_RAD[0]]
        elif key in "+=-" and self.joints is not None:
            if self._target_rad is None:
                self._target_rad = self.joints.positions_rad.copy()
            joint = self._robot.joints[self.joint]
            wanted = self._target_rad[self.joint] + (-self.step_rad if key == "-" else self.step_rad)
            self._target_rad[self.joint] = np.clip(wanted, joint.lower_rad, joint.upper_rad)
        elif key == " ":
            last_rad = self._follower.last_rad
            self._target_rad = (
                None if last_rad is None else last_rad.copy()
            )  # the next key changes it in place

    def command(self, now_ns: int, doubt: str = "") -> tuple[FloatArray | None, str]:
        """The command (joints,) rad of this period, None for none, and what to say of it."""
        stale = self.joints is None or now_ns - self.joints.stamp_ns > SETTINGS.stale_after_s * NANOSECONDS
        doubt = doubt or ("no joint states; is the arm node running?" if stale else "")
        if not doubt and self.joints is not None and self._follower.last_rad is None:
            doubt = self._follower.start_problem(self.joints.positions_rad)
        if doubt:
            self._follower.start_over()
            self._target_rad = None
            return None, doubt
        if self._target_rad is None or self.joints is None:
            return None, "the arm is where it was"
        self._follower.start_at(self.joints.positions_rad)
        self._follower.follow(self._target_rad, now_ns)
        command = self._follower.last_rad
        return command, "there" if command is not None and np.allclose(
            command, self._target_rad
        ) else "moving"

    def line(self, note: str) -> str:
        """One line that says how things stand."""
        name = self._robot.joint_names[self.joint]
        at = "-" if self.joints is None else f"{self.joints.positions_rad[self.joint]:+.3f}"
        to = "-" if self._target_rad is None else f"{self._target_rad[self.joint]:+.3f}"
        return f"{self.joint + 1} {name:<14} at {at}  to {to} rad  step {self.step_rad:.2f}  {note}"


def _run(node: Node, jog: Jog, joint_names: tuple[str, ...]) -> None:
    def hear(message: Any) -> None:
        try:
            jog.joints = joints_from_msg(message, joint_names)
        except WireError:
            jog.joints = None

    states, commands = topics.JOINT_STATES, topics.JOINT_COMMANDS
    node.create_subscription(states.type, states.name, hear, states.subscribe)
    refusals = CommandRefusals(node)
    publisher = node.create_publisher(commands.type, commands.name, commands.publish)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    terminal, period_s = sys.stdin.fileno(), 1.0 / SETTINGS.rate_hz
    due_s = time.monotonic()
    try:
        while True:
            while (left_s := due_s - time.monotonic()) > 0:
                executor.spin_once(timeout_sec=left_s)
            due_s = max(due_s + period_s, time.monotonic())
            if (text := read_pending_keys(terminal)) is None:
                return
            for arrow, key in ARROWS.items():
                text = text.replace(arrow, key)
            keys = ESCAPE_SEQUENCE.sub("", text)
            if "q" in keys:
                return
            for key in keys:
                jog.press(key)
            others = node.count_publishers(publisher.topic_name) - 1
            doubt = f"{others} other publishers on {publisher.topic_name}; stop them" if others > 0 else ""
            now_ns = int(node.get_clock().now().nanoseconds)
            command, note = jog.command(now_ns, doubt or refusals.reason_to_hold())
            if command is not None:
                commander = node.get_fully_qualified_name()
                publisher.publish(joint_command_msg(joint_names, now_ns, command, commander))
            print(f"\r{jog.line(note)}\033[K", end="", flush=True)
    except KeyboardInterrupt:
        return
    finally:
        executor.shutdown()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="jog", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, "robot")
    options = parser.parse_args(remove_ros_args(sys.argv)[1:])
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("jog needs a terminal", file=sys.stderr)
        return 1
    set_fast_dds()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the terminal is put back as after Ctrl-C
    node = Node("jog")
    try:
        robot = load_robot(options)
        print(KEYS)
        with cbreak_mode(sys.stdin.fileno()):
            _run(node, Jog(robot), robot.joint_names)
    except ValueError as error:  # of the robot file, or no safe command
        print(f"\njog: {error}", file=sys.stderr)
        return 1
    finally:
        print()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
