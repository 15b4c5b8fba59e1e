# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records episodes by single keys, beside a running recorder node.

Usage:
    ros2 run smolvla_ros record_keys [--ros-args -r __ns:=/my_robot]

Keys: space or enter starts an episode, or ends the current one; s success, f failure (they end the episode, or mark
the last one), d discard, r record again, q quit (a recording continues).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from smolvla_ros.nodes.client_node import SPIN_S, ClientNode
from smolvla_ros.nodes.recorder_client import RecorderClient
from smolvla_ros.suite.command_line import exit_on_errors
from smolvla_ros.terminal.keys import ESCAPE_SEQUENCE, cbreak_mode, read_pending_keys


def _run(client: ClientNode) -> None:
    recorder = RecorderClient(client)
    print("space: begin, end; s success, f failure, d discard, r again, q quit", flush=True)
    while (text := read_pending_keys(sys.stdin.fileno())) is not None:
        keys = ESCAPE_SEQUENCE.sub("", text)
        for key in keys:
            recorder.press(key)
        if "q" in keys:
            return
        client.spin(SPIN_S)


@exit_on_errors("record_keys")
def main(arguments: Sequence[str] | None = None) -> int:
    if {"-h", "--help"} & set(sys.argv[1:] if arguments is None else arguments):
        print(__doc__)
        return 0
    if not sys.stdin.isatty():
        print(
            "record_keys needs a terminal; elsewhere: ros2 service call recorder/start std_srvs/srv/Trigger",
            file=sys.stderr,
        )
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # restores the terminal, as Ctrl-C does
    with suppress(KeyboardInterrupt), ClientNode("record_keys") as client, cbreak_mode(sys.stdin.fileno()):
        _run(client)
    return 0


if __name__ == "__main__":
    sys.exit(main())
