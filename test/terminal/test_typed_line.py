# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A line is read while it is typed, from a terminal and from a pipe."""

from __future__ import annotations

import os
import pty
import select

from smolvla_ros.terminal.typed_line import TypedLine


def test_a_line_is_complete_with_enter() -> None:
    read, write = os.pipe()
    line = TypedLine(read)
    typed = []
    for keys in (b"", b"pick ", b"it upp\x7f", b"\x1b[A\n", b"\nnext"):
        os.write(write, keys)
        typed.append(line.poll())
    assert typed == [None, None, None, "pick it up", None]
    assert line.text == "next"


def test_a_closed_pipe_is_the_end() -> None:
    read, write = os.pipe()
    line = TypedLine(read)
    os.close(write)
    assert line.poll() is None and line.poll() is None


def test_keys_of_a_terminal_are_not_echoed() -> None:
    controller, terminal = pty.openpty()
    line = TypedLine(terminal)
    with line.reading():
        os.write(controller, b"pick")
        while not line.text:
            assert line.poll() is None
    assert line.text == "pick"
    assert not select.select([controller], [], [], 0.0)[0]
