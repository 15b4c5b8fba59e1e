# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running programs of the suite: with their output in a file, or on a pseudo-terminal."""

from __future__ import annotations

import codecs
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

from ..package_files import ROOT
from .forked import Forked

START_S = 15.0


def shares_memory(pid: int) -> bool:
    """Whether Fast DDS of a running process uses shared memory, which a killed process can leave locked."""
    return "/dev/shm/fastrtps" in Path(f"/proc/{pid}/maps").read_text()


class Program:
    """A running program of the suite; its output is written to a file."""

    def __init__(self, process: subprocess.Popen[bytes] | Forked, log: Path) -> None:
        self._process = process
        self.log = log

    @classmethod
    def new_interpreter(cls, command: list[str], log: Path, folder: Path = ROOT) -> Program:
        """A program in an interpreter of its own."""
        with log.open("w") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder
            )
        return cls(process, log)

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, words: str, timeout_s: float = START_S) -> None:
        """Wait until its output contains these words."""
        deadline_s = time.monotonic() + timeout_s
        while words not in self.output:
            assert self.running and time.monotonic() < deadline_s, self.output
            time.sleep(0.02)

    def wait(self, timeout_s: float = 20.0) -> int:
        """Wait until it exits by itself; returns its exit code."""
        return self._process.wait(timeout_s)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send it a signal and return its exit code."""
        if self.running:
            self._process.send_signal(number)
        try:
            return self._process.wait(15.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self.log.stem} ignored signal {number}:\n{self.output}") from None

    def kill(self) -> None:
        """Kill it by SIGKILL."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill it if it runs."""
        if self.running:
            self.kill()


class Terminal:
    """A program of the suite on a pseudo-terminal of its own."""

    def __init__(self, command: list[str], **environment: str) -> None:
        self._master, terminal = pty.openpty()
        self.process = subprocess.Popen(
            command,
            stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, start_new_session=True,
            env=os.environ | environment,
        )  # fmt: skip
        os.close(terminal)
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # keeps half a character until the rest comes
        self._shown = ""

    def read(self) -> str:
        """All its output so far."""
        while select.select([self._master], [], [], 0.0)[0]:
            try:
                self._shown += self._decoder.decode(os.read(self._master, 65536))
            except OSError:  # it has exited
                break
        return self._shown

    def wait(self, timeout_s: float) -> int:
        """Wait until it exits by itself, and read its output so that it does not block; returns its exit code."""
        deadline_s = time.monotonic() + timeout_s
        while (code := self.process.poll()) is None:
            assert time.monotonic() < deadline_s, self.read()
            self.read()
            time.sleep(0.01)
        return code

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
