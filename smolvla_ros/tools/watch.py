# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shows the state of the executor on a terminal, and stops it by a key.

Usage:
    ros2 run smolvla_ros watch [--ros-args -r __ns:=/my_robot]

Keys: s stop (until reset), a arm, d disarm, h shadow on or off, o take control from the policy (the arm holds), p give
it back, r reset, q quit (changes nothing; while a stop is not confirmed, q is ignored).
It does not replace a switch that cuts the power.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Sequence

from smolvla_ros.nodes.client_node import SPIN_S, ClientNode
from smolvla_ros.nodes.executor_client import ExecutorClient
from smolvla_ros.stop_signals import recorded_stop_signals
from smolvla_ros.suite.command_line import exit_on_errors
from smolvla_ros.terminal.keys import ESCAPE_SEQUENCE, cbreak_mode, read_pending_keys
from smolvla_ros.terminal.status_view import watch_screen

DRAW_PERIOD_S = 0.1
ALTERNATE_SCREEN, NORMAL_SCREEN = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"


def _draw_until(ended: threading.Event, executor: ExecutorClient) -> None:
    """Runs in a thread of its own: writing to a terminal can block (Ctrl-S, a slow network), and keys must not wait."""
    while not ended.wait(DRAW_PERIOD_S):
        alarm = "STOP IS NOT CONFIRMED, trying; use the power switch" if executor.stop_is_unconfirmed else ""
        width = shutil.get_terminal_size().columns
        text = watch_screen(executor.state, executor.silent_s, executor.note, alarm, width).encode()
        while text and not ended.is_set():
            text = text[os.write(sys.stdout.fileno(), text) :]


def _run(client: ClientNode, stop: Sequence[int]) -> None:
    """Until q is pressed, or a stop signal is in `stop`."""
    executor, ended = ExecutorClient(client.node), threading.Event()
    actions = {
        "s": executor.stop,
        "S": executor.stop,
        "a": lambda: executor.arm(True),
        "d": lambda: executor.arm(False),
        "h": executor.toggle_shadow,
        "o": lambda: executor.take_over(True),
        "p": lambda: executor.take_over(False),
        "r": executor.reset,
    }
    threading.Thread(target=_draw_until, args=(ended, executor), daemon=True).start()
    try:
        while not stop and (text := read_pending_keys(sys.stdin.fileno())) is not None:
            keys = ESCAPE_SEQUENCE.sub("", text)
            for key in keys:
                if key in actions:
                    actions[key]()
            if "q" in keys and not executor.stop_is_unconfirmed:
                return
            executor.repeat_stop()
            client.spin(SPIN_S)
    finally:
        ended.set()


@exit_on_errors("watch")
def main(arguments: Sequence[str] | None = None) -> int:
    if {"-h", "--help"} & set(sys.argv[1:] if arguments is None else arguments):
        print(__doc__)
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("watch needs a terminal; elsewhere: ros2 topic echo executor/state", file=sys.stderr)
        return 1
    try:
        print(ALTERNATE_SCREEN, end="", flush=True)
        # Polled: a KeyboardInterrupt that comes within rclpy can be lost there.
        with recorded_stop_signals() as stop, ClientNode("watch") as client, cbreak_mode(sys.stdin.fileno()):
            _run(client, stop)
    finally:
        print(NORMAL_SCREEN, end="", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
