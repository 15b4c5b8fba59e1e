# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How old the frames in a V4L2 driver's queue are, and which of them are too old to be used.

A driver fills its few buffers and then waits until they are read: after a stall of the reader they hold the past.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from smolvla_ros.observation import NANOSECONDS

MAX_BUFFER_AGE_NS = NANOSECONDS  # a frame that waited longer is dropped
MAX_BUFFERS = 32  # VIDEO_MAX_FRAME of linux/videodev2.h: no queue is longer


class StaleBuffersError(RuntimeError):
    """A driver sent nothing but old frames, more of them than any queue holds."""


class BufferQueue:
    """Takes frames out of a driver's queue and tells how long each has waited; drops those that waited too long.

    Drivers stamp a buffer with the monotonic clock when it is filled; a few leave 0 or use another clock, which OpenCV
    does not tell. The first frame does: on the monotonic clock its stamp lies between the opening of the camera and
    now. On another clock the age of a frame is unknown; it can be large only after the reader has been away, so then
    as many frames are dropped as the queue holds.
    """

    def __init__(
        self,
        grab: Callable[[], float | None],
        buffers: int,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`grab` waits for the next of `buffers` buffers and returns its stamp in ms, or None when nothing came.

        To be made before the camera starts to fill buffers.
        """
        self._grab = grab
        self._buffers = buffers
        self._monotonic_ns = monotonic_ns
        self._opened_ns = self._grabbed_ns = monotonic_ns()
        self._dated: bool | None = (
            None  # whether stamps are on the monotonic clock; None before the first frame
        )
        self._undated_to_drop = 0

    def take(self) -> int | None:
        """Age in ns of the next frame that is fit for use, 0 where it is unknown; None when nothing came.

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
        """Age of the frame just grabbed; None when it is to be dropped."""
        now_ns = self._monotonic_ns()
        if now_ns - self._grabbed_ns > MAX_BUFFER_AGE_NS:
            self._undated_to_drop = self._buffers
        self._grabbed_ns = now_ns
        if self._dated is None:
            self._dated = self._opened_ns <= stamp_ns <= now_ns
        if self._dated and 0 < stamp_ns <= now_ns:
            age_ns = now_ns - stamp_ns
            return age_ns if age_ns <= MAX_BUFFER_AGE_NS else None
        if self._undated_to_drop:
            self._undated_to_drop -= 1
            return None
        return 0
