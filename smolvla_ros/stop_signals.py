# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a program of the suite is asked to end: SIGINT, SIGTERM or SIGHUP, in any thread and more than once.

SIGHUP comes when the terminal is closed or the connection to it is lost. `nohup` ignores it, and so do we then.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def handle_stop_signals(handler: Callable[[int, FrameType | None], object]) -> None:
    """Have `handler` called for each stop signal from now on."""
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


@contextmanager
def recorded_stop_signals() -> Iterator[list[int]]:
    """The stop signals that have come, to be looked at now and then; from the end on they are ignored.

    Noted, not waited for: a handler that sets an Event can find the Event's lock held by its own thread, for ever, and
    a blocked signal goes to a thread of the numeric libraries, where it ends the process.
    """
    noted: list[int] = []
    handle_stop_signals(lambda received, _frame: noted.append(received))
    try:
        yield noted
    finally:
        # ros2 launch repeats the Ctrl-C of the terminal. The interpreter's own end restores the default action of a
        # signal, so a second one there would end the process with a failure that is none.
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
