# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real-time scheduling refused to a library that takes it without being asked.

When root opens SVT-AV1 (libsvtav1, seen with 4.1), it sets the calling thread and every thread that it starts to
SCHED_FIFO priority 99 and never takes it back; processes started later inherit it. Linux permits this to threads with
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
    """Within this block neither the calling thread nor threads that it starts may become real-time.

    Those threads never may; the calling one may again afterwards. One thread of a process at a time may be in such a
    block, because RLIMIT_RTPRIO is one for all of them. Outside Linux this does nothing.
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
    """Capabilities 0..31 that are in effect in the calling thread, as bits."""
    return int(_capability_words()[0])


def _set_effective_capabilities(capabilities: int) -> None:
    """Put capabilities 0..31 in effect in the calling thread; those that it holds can be taken back later."""
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
