# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moves the arm joint by joint from the keyboard, where there is no leader arm.

Usage:
    ros2 run smolvla_ros jog [--robot so101] [--ros-args -r __ns:=/my_robot]

Keys: 1 .. 6 choose a joint, + and - (or the arrows right and left) move it by a step, f switches between fine and
coarse steps, space stops, q quits (the arm holds). Nothing is sent before the first step, nor while another program
commands the arm; but the first step takes control from a policy, and executor/take_over gives it back.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from smolvla_ros.execution.jog import SETTINGS, Jog
from smolvla_ros.nodes.client_node import ClientNode, arguments_without_ros
from smolvla_ros.nodes.jog_node import JogNode
from smolvla_ros.robot import RobotSpec
from smolvla_ros.suite.command_line import add_options, exit_on_errors, load_robot
from smolvla_ros.terminal.keys import ESCAPE_SEQUENCE, cbreak_mode, read_pending_keys

ARROWS = {"\x1b[C": "+", "\x1b[D": "-"}
KEYS = "1..6 joint   + - move   f coarse/fine   space stop   q quit"


def _run(client: ClientNode, robot: RobotSpec) -> None:
    jog = Jog(robot)
    node = JogNode(client, jog, robot)
    due_s = time.monotonic()
    while True:
        client.spin(due_s - time.monotonic())
        due_s = max(due_s + 1.0 / SETTINGS.rate_hz, time.monotonic())
        if (text := read_pending_keys(sys.stdin.fileno())) is None:
            return
        for arrow, key in ARROWS.items():
            text = text.replace(arrow, key)
        keys = ESCAPE_SEQUENCE.sub("", text)
        if "q" in keys:
            return
        for key in keys:
            jog.press(key)
        print(f"\r{jog.status_line(node.publish_command())}\033[K", end="", flush=True)


@exit_on_errors("jog")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="jog", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, "robot")
    options = parser.parse_args(arguments_without_ros(arguments))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("jog needs a terminal", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # restores the terminal, as Ctrl-C does
    try:
        robot = load_robot(options)
        print(KEYS)
        with ClientNode("jog") as client, cbreak_mode(sys.stdin.fileno()):
            _run(client, robot)
    except KeyboardInterrupt:
        pass
    finally:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
