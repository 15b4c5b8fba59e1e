# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prevent a library from giving its threads real-time priority.

When root opens SVT-AV1 (libsvtav1, seen with 4.1), it sets the calling thread and all threads that it starts to
SCHED_FIFO priority 99 and does not reset it; processes started later inherit it. Linux permits this to threads with
the capability CAP_SYS_NICE and to processes with RLIMIT_RTPRIO (sched(7)).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# linux/capability.h: three 32-bit words (effective, permitted, inheritable) for capabilities 0..31, then for 32..63
CAPABILITY_VERSION_3 = 0x20080522
CAPABILITY_WORDS = 6
CAP_SYS_NICE = 1 << 23


@contextmanager
def without_realtime_permission() -> Iterator[None]:
    """Within this block the calling thread and the threads it starts cannot set a real-time priority.

    The threads it starts cannot do so later either; the calling thread can. Only one thread of a process may be in such
    a block at a time, because all threads share RLIMIT_RTPRIO. Does nothing on other systems than Linux.
    """
    if sys.platform != "linux":
        yield
        return
    from resource import RLIMIT_RTPRIO, getrlimit, setrlimit

    permitted, highest = getrlimit(RLIMIT_RTPRIO)
    capabilities = _effective_capabilities()
    try:
        setrlimit(RLIMIT_RTPRIO, (0, highest))
        _set_effective_capabilities(capabilities & ~CAP_SYS_NICE)
        yield
    finally:
        _set_effective_capabilities(capabilities)
        setrlimit(RLIMIT_RTPRIO, (permitted, highest))


def _effective_capabilities() -> int:
    """The effective capabilities 0..31 of the calling thread, as bits."""
    return int(_capability_words()[0])


def _set_effective_capabilities(capabilities: int) -> None:
    """Set capabilities 0..31 of the calling thread; permitted ones that are cleared can be set again."""
    words = _capability_words()
    words[0] = capabilities
    _call("capset", words)


def _capability_words() -> ctypes.Array[ctypes.c_uint32]:
    words = (ctypes.c_uint32 * CAPABILITY_WORDS)()
    _call("capget", words)
    return words


def _call(function: str, words: ctypes.Array[ctypes.c_uint32]) -> None:
    """capget(2) or capset(2) of the calling thread; raises OSError."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if getattr(ctypes.CDLL(None, use_errno=True), function)(header, words):
        raise OSError(ctypes.get_errno(), f"{function}: {os.strerror(ctypes.get_errno())}")
