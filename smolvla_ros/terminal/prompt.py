# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Questions on standard output, answers line by line from standard input."""

from __future__ import annotations

import os
import select
import sys


class Prompt:
    """Reads lines with an optional timeout. Nothing else may read standard input meanwhile."""

    def __init__(self) -> None:
        self._pending = b""

    def read_line(self, timeout_s: float | None = None) -> str | None:
        """The next line, stripped; None if none arrives in time; raises EOFError when standard input has ended."""
        while b"\n" not in self._pending:
            if not select.select([sys.stdin.fileno()], [], [], timeout_s)[0]:
                return None
            received = os.read(sys.stdin.fileno(), 1024)
            if not received:
                raise EOFError
            self._pending += received
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode(errors="replace").strip()

    def ask(self, question: str) -> str:
        """Print a question and wait for the answer."""
        print(question, end=" ", flush=True)
        return self.read_line() or ""

    def confirm(self, question: str) -> bool:
        """Whether the answer is y or yes."""
        return self.ask(f"{question} [y/N]").lower() in ("y", "yes")
