# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Watch the executor in a terminal, and stop it with one key.

Usage:
    ros2 run smolvla_ros watch [--ros-args -r __ns:=/my_robot]

Keys: s stop (latches until reset), a arm, d disarm, h shadow on or off, r reset, q quit (changes nothing, and waits
for a stop that is not confirmed).
It is no substitute for a switch that cuts the power.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool, Trigger

from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.fast_dds import set_fast_dds
from smolvla_ros.terminal.keys import ESCAPE_SEQUENCE, cbreak_mode, read_pending_keys
from smolvla_ros.terminal.status_view import watch_screen

DRAW_PERIOD_S = 0.1
SPIN_S = 0.02
STOP_AGAIN_S = 0.3  # an unanswered stop is sent again
ALTERNATE_SCREEN, NORMAL_SCREEN = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"


class Watch:
    """Listens to executor/state and calls the executor's services."""

    def __init__(self, node: Node) -> None:
        self._state: Any | None = None
        self._heard_s = time.monotonic()
        self._note = ""
        self._stop_sent_s: float | None = None  # set while a stop waits for its answer
        topic = topics.EXECUTOR_STATE
        node.create_subscription(topic.type, topic.name, self._hear, topic.subscribe)
        kinds = {"arm": SetBool, "shadow": SetBool, "stop": Trigger, "reset": Trigger}
        self._services = {name: node.create_client(kind, f"executor/{name}") for name, kind in kinds.items()}

    def press(self, key: str) -> None:
        """Do what a key stands for; unknown ones do nothing."""
        is_shadow = self._state is not None and self._state.state == ArmingState.SHADOW
        if key in "sS":
            self._stop_sent_s = -STOP_AGAIN_S  # due now
            self.insist()
        elif key in "ad":
            self._call("arm", SetBool.Request(data=key == "a"))
        elif key == "h":
            self._call("shadow", SetBool.Request(data=not is_shadow))
        elif key == "r":
            self._call("reset", Trigger.Request())

    @property
    def stop_is_open(self) -> bool:
        """Whether a stop waits for its answer."""
        return self._stop_sent_s is not None

    def insist(self) -> None:
        """Send a stop that was not answered again."""
        now_s = time.monotonic()
        if self._stop_sent_s is not None and now_s - self._stop_sent_s >= STOP_AGAIN_S:
            self._stop_sent_s = now_s
            self._call("stop", Trigger.Request())

    def screen(self, width: int) -> str:
        alarm = "STOP IS NOT CONFIRMED, trying; use the power switch" if self.stop_is_open else ""
        return watch_screen(self._state, time.monotonic() - self._heard_s, self._note, alarm, width)

    def _hear(self, state: Any) -> None:
        self._state, self._heard_s = state, time.monotonic()

    def _call(self, name: str, request: Any) -> None:
        if not self._services[name].service_is_ready():
            self._note = f"{name}: there is no service executor/{name}"
            return
        self._note = f"{name}: sent"
        self._services[name].call_async(request).add_done_callback(
            lambda future: self._answered(name, future.result())
        )

    def _answered(self, name: str, answer: Any) -> None:
        self._note = f"{name}: {answer.message}"
        if name == "stop" and answer.success:
            self._stop_sent_s = None


def _draw_forever(watch: Watch, ended: threading.Event) -> None:
    """In a thread of its own: a terminal that takes nothing (Ctrl-S, a slow network) must not hold up a key."""
    while not ended.wait(DRAW_PERIOD_S):
        text = watch.screen(shutil.get_terminal_size().columns).encode()
        while text and not ended.is_set():
            text = text[os.write(sys.stdout.fileno(), text) :]


def _run(node: Node) -> None:
    watch, ended = Watch(node), threading.Event()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    terminal = sys.stdin.fileno()
    threading.Thread(target=_draw_forever, args=(watch, ended), daemon=True).start()
    try:
        while True:
            if (text := read_pending_keys(terminal)) is None:
                return
            keys = ESCAPE_SEQUENCE.sub("", text)
            for key in keys:
                watch.press(key)
            if "q" in keys and not watch.stop_is_open:
                return
            watch.insist()
            executor.spin_once(timeout_sec=SPIN_S)
    except KeyboardInterrupt:
        return
    finally:
        ended.set()
        executor.shutdown()


def main() -> int:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("watch needs a terminal; elsewhere: ros2 topic echo executor/state", file=sys.stderr)
        return 1
    set_fast_dds()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the terminal is put back as after Ctrl-C
    try:
        print(ALTERNATE_SCREEN, end="", flush=True)
        with cbreak_mode(sys.stdin.fileno()):
            _run(Node("watch"))
    finally:
        print(NORMAL_SCREEN, end="", flush=True)
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
