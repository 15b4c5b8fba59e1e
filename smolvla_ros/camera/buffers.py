# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Determines the age of frames in a V4L2 driver's queue, and drops old ones.

A driver fills its buffers and then waits until they are read, so after a stall of the reader they hold old frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from smolvla_ros.observation import NANOSECONDS

MAX_BUFFER_AGE_NS = NANOSECONDS  # older frames are dropped
MAX_BUFFERS = 32  # VIDEO_MAX_FRAME of linux/videodev2.h: no queue is longer


class StaleBuffersError(RuntimeError):
    """A driver sent only old frames, more than a queue can hold."""


class BufferQueue:
    """Takes frames from a driver's queue with their age; drops old ones.

    Drivers stamp a buffer with the monotonic clock when it is filled; a few set 0 or use another clock, which OpenCV
    does not report. It is inferred from the first frame: a stamp on the monotonic clock is between the opening of the
    camera and now. On another clock the age is unknown; frames can be old only after a pause of the reader, so then as
    many frames are dropped as the queue holds.
    """

    def __init__(
        self,
        grab: Callable[[], float | None],
        buffers: int,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`grab` waits for the next of `buffers` buffers and returns its stamp in ms, or None if there was none.

        Create it before the camera is opened.
        """
        self._grab = grab
        self._buffers = buffers
        self._monotonic_ns = monotonic_ns
        self._opened_ns = self._grabbed_ns = monotonic_ns()
        # whether stamps are on the monotonic clock; None before the first frame
        self._is_monotonic: bool | None = None
        self._unknown_to_drop = 0

    def take(self) -> int | None:
        """Age in ns of the next usable frame, 0 if unknown; None if none came.

        Raises StaleBuffersError.
        """
        for _ in range(MAX_BUFFERS + 1):
            stamp_ms = self._grab()
            if stamp_ms is None:
                return None
            age_ns = self._age_ns(round(stamp_ms * 1e6))
            if age_ns is not None:
                return age_ns
        raise StaleBuffersError(
            f"sends only frames that are more than {MAX_BUFFER_AGE_NS / NANOSECONDS:g} s old"
        )

    def _age_ns(self, stamp_ns: int) -> int | None:
        """Age of the grabbed frame; None if it is to be dropped."""
        now_ns = self._monotonic_ns()
        if now_ns - self._grabbed_ns > MAX_BUFFER_AGE_NS:
            self._unknown_to_drop = self._buffers
        self._grabbed_ns = now_ns
        if self._is_monotonic is None:
            self._is_monotonic = self._opened_ns <= stamp_ns <= now_ns
        if self._is_monotonic and 0 < stamp_ns <= now_ns:
            age_ns = now_ns - stamp_ns
            return age_ns if age_ns <= MAX_BUFFER_AGE_NS else None
        if self._unknown_to_drop:
            self._unknown_to_drop -= 1
            return None
        return 0
