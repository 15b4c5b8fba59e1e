# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kills tests that run for too long, after printing the stacks of all of their processes.

It is a separate process, because a limit inside pytest has no effect while the main thread waits in compiled code or
gets no CPU time. Used in two ways:

    python test/watchdog.py SECONDS COMMAND [ARGUMENT...]    runs the command; past the limit it ends with exit code 124
    start_for_tests()                                        for pytest (conftest.py); each test has a limit

Python prints the stacks of all threads at SIGABRT where its faulthandler is enabled: pytest enables its own, and
PYTHONFAULTHANDLER enables that of the programs which tests start.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

RUN = "SMOLVLA_TEST_RUN"  # environment variable: the ids of the runs that a process belongs to, /outer/inner
DUMP_S = 3.0  # time that processes have to print their stacks
LIMIT_REACHED = 124  # the exit code of timeout(1)


class Watchdog:
    """The watchdog process of pytest; a limit applies from `begin` to `end`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def begin(self, name: str, limit_s: float) -> None:
        """The test `name` begins; it is killed together with this process unless `end` is called in time."""
        self._tell(f"{limit_s} {name}\n")

    def end(self) -> None:
        """The test has ended."""
        self._tell("\n")

    def close(self) -> None:
        self._process.communicate()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()


def start_for_tests() -> Watchdog:
    """Start a watchdog for this process and for every process that is started from here on."""
    os.environ["PYTHONFAULTHANDLER"] = "1"
    os.environ[RUN] = run = f"{os.environ.get(RUN, '')}/{os.getpid()}"
    return Watchdog(
        subprocess.Popen([sys.executable, __file__, "--tests", run, str(os.getpid())], stdin=subprocess.PIPE)
    )


def watch_tests(run: str, root: int) -> int:
    """Read what `Watchdog` writes; returns when the tests have ended or when a limit was reached."""
    name, limit_s, deadline_s = "", 0.0, math.inf
    lines = sys.stdin.buffer.raw  # type: ignore[attr-defined]  # select does not see data in a buffer
    while True:
        left_s = None if deadline_s == math.inf else max(0.0, deadline_s - time.monotonic())
        if not select.select([lines], [], [], left_s)[0]:
            end_processes(run, root, f"{name} has run for {limit_s:g} s")
            return LIMIT_REACHED
        line = lines.readline().decode()
        if not line:
            return 0
        limit, _, name = line.strip().partition(" ")
        limit_s = float(limit or math.inf)
        deadline_s = time.monotonic() + limit_s


def run_command(limit_s: float, command: list[str]) -> int:
    """Run a command for at most `limit_s`; returns its exit code, or LIMIT_REACHED."""
    run = f"{os.environ.get(RUN, '')}/{os.getpid()}"
    process = subprocess.Popen(command, env=os.environ | {RUN: run, "PYTHONFAULTHANDLER": "1"})
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        end_processes(run, process.pid, f"{' '.join(command)} has run for {limit_s:g} s")
        process.wait()
        return LIMIT_REACHED


def end_processes(run: str, root: int, reason: str) -> None:
    """Print the stacks of `root`, its descendants and all other processes of the run, and end them."""
    pids = processes_of(run, root)
    print(f"\n{'=' * 30} {reason}: {len(pids)} processes are ended", file=sys.stderr, flush=True)
    logs = {pid: (log, log.stat().st_size) for pid in pids if (log := stderr_file(pid)) is not None}
    commands = {pid: command_line(pid) for pid in pids}
    for number, duration_s in ((signal.SIGABRT, DUMP_S), (signal.SIGKILL, 0.0)):
        for pid in pids:
            send(pid, number)
        deadline_s = time.monotonic() + duration_s
        while any(map(is_running, pids)) and time.monotonic() < deadline_s:
            time.sleep(0.05)
    for pid in pids:
        print(f"{'-' * 30} {pid}: {commands[pid]}", file=sys.stderr)
        if pid in logs:
            log, size = logs[pid]
            print(log.read_bytes()[size:].decode(errors="replace"), file=sys.stderr)
    sys.stderr.flush()


def processes_of(run: str, root: int) -> list[int]:
    """The ids of `root`, its descendants and the processes whose environment names `run`, without this one."""
    parents: dict[int, int] = {}
    found = {root}
    mark = f"{RUN}={run}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        try:
            parents[pid] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # ended meanwhile, or another user's
            continue
        if any(variable == mark or variable.startswith(mark + b"/") for variable in variables):
            found.add(pid)
    for pid in parents:
        ancestor = pid
        while ancestor not in found and ancestor in parents:
            ancestor = parents[ancestor]
        if ancestor in found:
            found.add(pid)
    return sorted(pid for pid in found if pid != os.getpid())


def stderr_file(pid: int) -> Path | None:
    """The file that a process writes its errors to; None if that is a terminal or a pipe, or unknown."""
    try:
        path = Path(os.readlink(f"/proc/{pid}/fd/2"))
    except OSError:
        return None
    return path if path.is_file() else None


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "has ended"


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    if sys.argv[1] == "--tests":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for pytest, whose end closes the pipe
        sys.exit(watch_tests(sys.argv[2], int(sys.argv[3])))
    sys.exit(run_command(float(sys.argv[1]), sys.argv[2:]))
