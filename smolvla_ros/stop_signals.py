# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stop signals of the programs: SIGINT, SIGTERM and SIGHUP, in any thread and repeatedly.

SIGHUP comes when the terminal is closed or its connection is lost. With `nohup` it stays ignored.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def handle_stop_signals(handler: Callable[[int, FrameType | None], object]) -> None:
    """Call `handler` for each stop signal from now on."""
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


@contextmanager
def recorded_stop_signals() -> Iterator[list[int]]:
    """A list of received stop signals, for polling; after the context they are ignored.

    Polled, because a handler that sets an Event can deadlock on the Event's lock in its own thread, and a blocked
    signal is delivered to a thread of the numeric libraries, where it ends the process.
    """
    received: list[int] = []
    handle_stop_signals(lambda number, _frame: received.append(number))
    try:
        yield received
    finally:
        # ros2 launch repeats the Ctrl-C of the terminal. At its exit the interpreter restores the default action of a
        # signal, so a second one would end the process with an error code.
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
