# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The suite's programs as plain processes, where there is no ros2 launch: started, watched, ended, none left.

Each writes to its own log file. They are process groups of their own, so that a Ctrl-C of the terminal reaches
only the starter, which then ends them in order; should the starter be killed, the kernel ends them. They stay in its
session, because Linux shares the cores out by session first, and inference could not step back for the others.
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

from smolvla_ros.suite import NodeSpec, command, parameter_text

PR_SET_PDEATHSIG = 1  # linux/prctl.h
POLL_S = 0.02
FIRST_LINE_S = 15.0  # a program that others wait for says its first line within this time
LOG_LINES = 15


class ProcessError(RuntimeError):
    """A program could not be started or has ended by itself; the message ends with its last words."""


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    killed: bool = False  # it ignored the request to end


@dataclass
class _Running:
    spec: NodeSpec
    process: subprocess.Popen[bytes]
    log: Path


class Processes:
    """Programs of the suite by label. Logs go to `folder`/logs, parameter files to `folder`/parameters."""

    def __init__(self, folder: Path) -> None:
        self._logs = folder / "logs"
        self._parameters = folder / "parameters"
        self._running: dict[str, _Running] = {}

    def start(self, spec: NodeSpec, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Start a program, after the first line of the one it waits for. Raises ProcessError."""
        if spec.after:
            self._wait_for_first_line(spec.after, is_stopping)
        for folder in (self._logs, self._parameters):
            folder.mkdir(parents=True, exist_ok=True)
        parameter_file = self._parameters / f"{spec.label}.yaml"
        parameter_file.write_text(parameter_text(spec), encoding="utf-8")
        log = self._logs / f"{spec.label}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(spec, sys.executable, parameter_file),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_detach,
            )
        self._running[spec.label] = _Running(spec, process, log)

    def check(self) -> None:
        """Raise ProcessError if a program has ended by itself."""
        for label, running in self._running.items():
            code = running.process.poll()
            if code is not None:
                raise ProcessError(f"{label} has ended (exit code {code}):\n{last_lines(running.log)}")

    def stop(self, timeout_s: float = 10.0) -> dict[str, Ended]:
        """End all programs by SIGINT, nodes before what they need; kill what is left after `timeout_s`."""
        ended: dict[str, Ended] = {}
        for is_ros in (True, False):
            group = {k: running for k, running in self._running.items() if running.spec.is_ros is is_ros}
            for running in group.values():
                if running.process.poll() is None:
                    running.process.send_signal(signal.SIGINT)
            deadline_s = time.monotonic() + timeout_s
            for label, running in group.items():
                ended[label] = _wait(running.process, max(0.0, deadline_s - time.monotonic()))
        self._running = {}
        return ended

    def _wait_for_first_line(self, name: str, is_stopping: Callable[[], bool]) -> None:
        running = self._running[name]
        deadline_s = time.monotonic() + FIRST_LINE_S
        while b"\n" not in running.log.read_bytes() and not is_stopping():
            self.check()
            if time.monotonic() > deadline_s:
                raise ProcessError(f"{name} has said nothing for {FIRST_LINE_S:.0f} s; see {running.log}")
            time.sleep(POLL_S)


def last_lines(log: Path, count: int = LOG_LINES) -> str:
    """The end of a log file, indented."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> Ended:
    try:
        return Ended(process.wait(timeout_s))
    except subprocess.TimeoutExpired:
        process.kill()
        return Ended(process.wait(), killed=True)


def _detach() -> None:
    """In the child, before its program: leave the terminal's group, and ask for a SIGINT should the starter die."""
    os.setpgrp()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
