# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record episodes with single keys, beside a running recorder node.

Usage:
    ros2 run smolvla_ros record_keys [--ros-args -r __ns:=/my_robot]

Keys: space or enter begins an episode, and ends the present one; s success, f failure (they end the episode or mark
the last one), d discard, r record it again, q quit (what is being recorded goes on).
"""

from __future__ import annotations

import signal
import sys

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from smolvla_ros.nodes.fast_dds import set_fast_dds
from smolvla_ros.terminal.keys import ESCAPE_SEQUENCE, cbreak_mode, read_pending_keys

SPIN_S = 0.02
TOGGLE = " \r\n"
VERBS = {"s": "success", "f": "failure", "d": "discard", "r": "rerecord"}
ENDS = ("stop", "success", "failure", "discard")


class RecordKeys:
    """Calls the recorder's services and prints what they answer."""

    def __init__(self, node: Node) -> None:
        self._is_recording = False  # as far as is known from the answers
        self._waiting = ""  # the verb that has no answer yet; keys wait for it
        verbs = ("start", "stop", *VERBS.values())
        self._services = {verb: node.create_client(Trigger, f"recorder/{verb}") for verb in verbs}

    def press(self, key: str) -> None:
        """Do what a key stands for; unknown ones, and all while an answer is due, do nothing."""
        verb = ("stop" if self._is_recording else "start") if key in TOGGLE else VERBS.get(key, "")
        if not verb or self._waiting:
            return
        if not self._services[verb].service_is_ready():
            print(f"{verb}: there is no service recorder/{verb}; is the recorder running?", flush=True)
            return
        self._waiting = verb
        future = self._services[verb].call_async(Trigger.Request())
        future.add_done_callback(lambda done: self._answered(verb, done.result()))

    def _answered(self, verb: str, answer: Trigger.Response) -> None:
        self._waiting = ""
        print(answer.message if answer.success else f"{verb}: {answer.message}", flush=True)
        if answer.success:
            self._is_recording = verb not in ENDS
        elif verb in ("start", "stop"):  # somebody else has begun or ended an episode
            self._is_recording = verb == "start" and "is being recorded" in answer.message


def _run(node: Node) -> None:
    keys = RecordKeys(node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    terminal = sys.stdin.fileno()
    print("space: begin, end; s success, f failure, d discard, r again, q quit", flush=True)
    try:
        while True:
            if (text := read_pending_keys(terminal)) is None:
                return
            pressed = ESCAPE_SEQUENCE.sub("", text)
            for key in pressed:
                keys.press(key)
            if "q" in pressed:
                return
            executor.spin_once(timeout_sec=SPIN_S)
    except KeyboardInterrupt:
        return
    finally:
        executor.shutdown()


def main() -> int:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return 0
    if not sys.stdin.isatty():
        print(
            "record_keys needs a terminal; elsewhere: ros2 service call recorder/start std_srvs/srv/Trigger",
            file=sys.stderr,
        )
        return 1
    set_fast_dds()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the terminal is put back as after Ctrl-C
    try:
        with cbreak_mode(sys.stdin.fileno()):
            _run(Node("record_keys"))
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
