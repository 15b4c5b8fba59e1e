# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of the suite as processes, without ros2 launch: started, supervised and stopped.

A program that exits is treated as under launch (supervisor.py).

Each program has a log file. Each is a process group of its own, so that Ctrl-C in the terminal reaches only the parent,
which then stops them in order; if the parent is killed, the kernel sends them SIGINT. They stay in the session of the
parent: Linux distributes the cores among sessions first, so the niceness of inference would otherwise have no effect.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smolvla_ros.suite.node_spec import NodeSpec, command_line, main_module, parameter_text
from smolvla_ros.suite.supervisor import RESTART_DELAY_S, Reaction, Supervisor, exit_message

PR_SET_PDEATHSIG = 1  # linux/prctl.h
POLL_S = 0.02
FIRST_LINE_S = 15.0  # within this time a program that others wait for must print its first line
LOG_LINES = 15


class ProcessError(RuntimeError):
    """A program has exited that the suite needs, or did not start; the message ends with the end of its log."""


@dataclass(frozen=True)
class ExitStatus:
    """How a program has ended."""

    code: int
    killed: bool = False  # it did not stop in time
    unexpected_exits: int = 0  # how often it had exited before without being asked


@dataclass
class _Running:
    spec: NodeSpec
    process: subprocess.Popen[bytes]
    log: Path
    started_s: float  # monotonic, as all times here
    restart_s: float | None = None  # when to restart it after an exit
    is_left_out: bool = False  # it has exited and is not restarted
    unexpected_exits: int = 0


class Processes:
    """Programs by label. Logs are written to `folder`/logs, parameter files to `folder`/parameters."""

    def __init__(self, folder: Path) -> None:
        self._logs = folder / "logs"
        self._parameters = folder / "parameters"
        self._running: dict[str, _Running] = {}
        self._supervisor = Supervisor()
        self._messages: list[str] = []  # of a `check` during `start`

    def start(self, spec: NodeSpec, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Start a program, after the first line of the program in `after`. Raises ProcessError."""
        if spec.after:
            self._wait_for_first_line(spec.after, is_stopping)
        for folder in (self._logs, self._parameters):
            folder.mkdir(parents=True, exist_ok=True)
        parameter_file = self._parameters / f"{spec.label}.yaml"
        parameter_file.write_text(parameter_text(spec), encoding="utf-8")
        log = self._logs / f"{spec.label}.log"
        log.write_bytes(b"")
        self._running[spec.label] = _Running(spec, _process(spec, parameter_file, log), log, time.monotonic())

    def check(self) -> list[str]:
        """Restart programs that have exited; returns a message for each exit, or raises ProcessError (see there)."""
        lines, self._messages = self._messages, []
        for running in self._running.values():
            now_s, code = time.monotonic(), running.process.poll()
            if running.is_left_out or code is None:
                continue
            if running.restart_s is None:
                reaction = self._supervisor.on_exit(running.spec, code, now_s - running.started_s)
                text = exit_message(running.spec, code, reaction)
                if reaction is Reaction.STOP:
                    raise ProcessError(f"{text}:\n{last_lines(running.log)}")
                lines.append(text)
                running.unexpected_exits += 1
                running.is_left_out = reaction is Reaction.CONTINUE
                running.restart_s = now_s + RESTART_DELAY_S
            elif now_s >= running.restart_s:
                parameter_file = self._parameters / f"{running.spec.label}.yaml"
                running.process = _process(running.spec, parameter_file, running.log)
                running.started_s, running.restart_s = now_s, None
        return lines

    def stop(self, timeout_s: float = 10.0) -> dict[str, ExitStatus]:
        """Stop all programs by SIGINT: first arms, then other nodes, then the rest; kill those that take longer.

        timeout_s: for each of these groups; 0 kills at once. A longer `stop_timeout_s` of a program takes precedence.
        """
        ended: dict[str, ExitStatus] = {}
        for order in range(3):
            group = {label: r for label, r in self._running.items() if _stop_order(r.spec) == order}
            for running in group.values():
                if running.process.poll() is None:
                    running.process.send_signal(signal.SIGINT)
            asked_s = time.monotonic()
            for label, running in group.items():
                allowed_s = max(timeout_s, running.spec.stop_timeout_s) if timeout_s else 0.0
                ended[label] = _wait(running, max(0.0, asked_s + allowed_s - time.monotonic()))
        self._running = {}
        return ended

    def _wait_for_first_line(self, name: str, is_stopping: Callable[[], bool]) -> None:
        running = next(running for running in self._running.values() if running.spec.name == name)
        deadline_s = time.monotonic() + FIRST_LINE_S
        while b"\n" not in running.log.read_bytes() and not is_stopping():
            self._messages = self.check()
            if time.monotonic() > deadline_s:
                raise ProcessError(f"{name} has printed nothing for {FIRST_LINE_S:.0f} s; see {running.log}")
            time.sleep(POLL_S)


def _stop_order(spec: NodeSpec) -> int:
    return 0 if spec.holds_arm else 1 if spec.is_ros else 2


def last_lines(log: Path, count: int = LOG_LINES) -> str:
    """The end of a log file, indented."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    return "\n".join(f"  {line}" for line in lines) or "  (nothing)"


def _process(spec: NodeSpec, parameter_file: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the program; its output is appended to the log."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command_line(spec, [sys.executable, "-m", main_module(spec)], parameter_file),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_detach,
        )


def _wait(running: _Running, timeout_s: float) -> ExitStatus:
    process = running.process
    try:
        return ExitStatus(process.wait(timeout_s), unexpected_exits=running.unexpected_exits)
    except subprocess.TimeoutExpired:
        process.kill()
        return ExitStatus(process.wait(), killed=True, unexpected_exits=running.unexpected_exits)


def _detach() -> None:
    """Runs in the child before its program: a process group of its own, and SIGINT when the parent dies."""
    os.setpgrp()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
