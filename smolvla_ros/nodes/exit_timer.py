# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ends a process that hangs in a library, also while it holds Python's lock.

Fast DDS 2.14 may wait forever while it destroys a participant (DomainParticipant::set_listener), if another participant
vanishes at the same moment and the computer is busy: 2 of about 500 nodes that were stopped together, beside programs
that filled all cores. No thread of Python runs then, so the timer is one of the C library.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CLOCK_MONOTONIC, SIGEV_THREAD = 1, 2  # of Linux


class _Event(ctypes.Structure):
    """struct sigevent, with the members of SIGEV_THREAD."""

    _fields_ = [
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("padding", ctypes.c_char * 32),
    ]


class _Times(ctypes.Structure):
    """struct itimerspec: interval and first expiration, in seconds and nanoseconds."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns")]


@contextmanager
def exit_after(seconds: int, code: int) -> Iterator[None]:
    """End this process with an exit code if the block takes more seconds. Raises OSError."""
    sys.stdout.flush()
    sys.stderr.flush()
    libc = ctypes.CDLL(None, use_errno=True)
    function = ctypes.cast(libc._exit, ctypes.c_void_p)  # is called with the value
    event = _Event(value=code, notify=SIGEV_THREAD, function=function)
    timer = ctypes.c_void_p()
    if libc.timer_create(CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)) or libc.timer_settime(
        timer, 0, ctypes.byref(_Times(first_s=seconds)), None
    ):
        raise OSError(ctypes.get_errno(), "no timer for the end of the process")
    try:
        yield
    finally:
        libc.timer_delete(timer)
