# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads single keys from a terminal, without waiting for ENTER."""

from __future__ import annotations

import os
import re
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?")  # what an arrow key sends ends in A .. D


@contextmanager
def cbreak_mode(terminal: int) -> Iterator[None]:
    """Each key can be read as soon as it is pressed, and is not echoed; the old mode is restored at the end."""
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def read_pending_keys(terminal: int) -> str | None:
    """The characters typed since the last call, escape sequences included; None when the terminal is closed."""
    if not select.select([terminal], [], [], 0.0)[0]:
        return ""
    return os.read(terminal, 1024).decode(errors="replace") or None
