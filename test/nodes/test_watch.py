# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`watch` on a pseudo-terminal, with a real executor node: it shows the state, and its keys act immediately."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import smolvla_ros.msg as msg

from ..package_files import ROOT

State = msg.ExecutorState
IMMEDIATELY_S = 0.5


@pytest.fixture
def terminal(on_terminal: Callable[..., Any]) -> Any:
    """`watch` on a pseudo-terminal of 100 columns."""
    return on_terminal("tools.watch", COLUMNS="100")


def shows(terminal: Any, words: str) -> Any:
    """Whether words are on the newest screen."""
    return lambda: words in terminal.read().rsplit("\033[H", 2)[-2:][0]


def test_it_shows_the_state_and_its_keys_change_it(executor_bench: Any, terminal: Any) -> None:
    bench = executor_bench(task="wave")
    until = bench.observer.until
    until(shows(terminal, "DISARMED"), "the state on the terminal")
    until(shows(terminal, "task      wave"), "the task")
    for key, state in (
        ("h", State.SHADOW),
        ("a", State.HOLDING),
        ("d", State.DISARMED),
    ):
        terminal.press(key)
        until(bench.state_is(state), f"what key {key} does", 2.0)
    terminal.press("\x1b[A\x1bOA\x1b[1;5AA\x1ba")  # escape sequences that contain an A or a are not the key a
    bench.observer.spin(0.3)
    assert bench.states[-1].state == State.DISARMED
    terminal.press("\x1b[AS")
    until(bench.state_is(State.STOPPED), "the stop", IMMEDIATELY_S)
    until(shows(terminal, "stopped by service"), "the reason on the terminal")
    terminal.press("a")
    until(shows(terminal, "reset first"), "the refusal on the terminal")
    terminal.press("r")
    until(bench.state_is(State.DISARMED), "the reset", 2.0)
    terminal.press("q")
    assert terminal.wait(5.0) == 0
    assert "Traceback" not in terminal.read()


def test_the_stop_key_works_while_the_terminal_takes_no_output(executor_bench: Any, terminal: Any) -> None:
    bench = executor_bench(mode="armed")
    bench.observer.until(shows(terminal, "HOLDING"), "the state on the terminal")
    bench.observer.spin(2.0)  # its output is not read: the terminal is full, and writing blocks
    terminal.press("s")
    bench.observer.until(bench.state_is(State.STOPPED), "the stop", IMMEDIATELY_S)


def test_a_stop_without_a_response_is_shown_and_repeated(
    observer: Any, executor_bench: Any, terminal: Any
) -> None:
    observer.until(shows(terminal, "waiting for executor/state"), "the empty view")
    terminal.press("s")
    observer.until(shows(terminal, "STOP IS NOT CONFIRMED"), "the alarm")
    terminal.press("q")
    bench = executor_bench(mode="armed")
    observer.until(bench.state_is(State.STOPPED), "the stop of an executor that came later")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(observer: Any, terminal: Any, number: int) -> None:
    observer.until(shows(terminal, "waiting for executor/state"), "the empty view")
    terminal.process.send_signal(number)
    assert terminal.wait(5.0) == 0
    assert terminal.read().endswith("\033[?25h\033[?1049l")  # the terminal is restored
    assert "Traceback" not in terminal.read()


def test_without_a_terminal_it_says_what_to_do() -> None:
    began_s = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-m", "smolvla_ros.tools.watch"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT, timeout=20.0,
    )  # fmt: skip
    assert result.returncode == 1 and "ros2 topic echo" in result.stderr
    assert time.monotonic() - began_s < 15.0
