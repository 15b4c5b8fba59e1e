# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A line that a person types while the program goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from smolvla_ros.terminal.keys import ESCAPE_SEQUENCE, cbreak_mode, read_pending_keys

ENTER, ERASE = "\n\r", "\b\x7f"


class TypedLine:
    """What has been typed on standard input, a terminal or a pipe; `text` is the line so far, which is not echoed."""

    def __init__(self, source: int = sys.__stdin__.fileno() if sys.__stdin__ else -1) -> None:
        self.text = ""
        self._source = source
        self._is_open = source >= 0 and not _is_in_background(source)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While a person may type."""
        if self._is_open and os.isatty(self._source):
            with cbreak_mode(self._source):
                yield
        else:
            yield

    def poll(self) -> str | None:
        """The first line that was ended by ENTER since the last call; None without one."""
        keys = read_pending_keys(self._source) if self._is_open else ""
        if keys is None:
            self._is_open, keys = False, ""
        done: str | None = None
        for key in ESCAPE_SEQUENCE.sub("", keys):
            if key in ENTER:
                done, self.text = done or self.text.strip() or None, ""
            elif key in ERASE:
                self.text = self.text[:-1]
            elif key.isprintable():
                self.text += key
        return done


def _is_in_background(terminal: int) -> bool:
    """Whether another process group reads from this terminal: the system would stop a program that tries to."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # no terminal, or not the one that controls this program
        return False
