# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What command lines need of a terminal: lines that may be waited for, and keys that count at once."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?")  # an arrow key ends in A .. D


class Prompt:
    """Questions on standard output, answers line by line from standard input."""

    def __init__(self) -> None:
        self._pending = b""

    def line(self, timeout_s: float | None = None) -> str | None:
        """The next line without its end, None if none comes in time; raises EOFError when there are no more."""
        while b"\n" not in self._pending:
            if not select.select([sys.stdin.fileno()], [], [], timeout_s)[0]:
                return None
            typed = os.read(sys.stdin.fileno(), 1024)
            if not typed:
                raise EOFError
            self._pending += typed
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode(errors="replace").strip()

    def ask(self, question: str) -> str:
        """Put a question and wait for its answer."""
        print(question, end=" ", flush=True)
        return self.line() or ""

    def confirm(self, question: str) -> bool:
        """Whether the answer is yes; anything else is no."""
        return self.ask(f"{question} [y/N]").lower() in ("y", "yes")


def typed(terminal: int) -> str | None:
    """What was typed since the last call, escape sequences too; None when the terminal is gone."""
    if not select.select([terminal], [], [], 0.0)[0]:
        return ""
    return os.read(terminal, 1024).decode(errors="replace") or None


@contextmanager
def single_keys(terminal: int) -> Iterator[None]:
    """Every key counts at once, and is not shown."""
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
