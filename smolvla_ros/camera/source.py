# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of a source of frames, fixed-rate waiting, and reopening after failures.

A source blocks until its next frame, so it needs a thread of its own. Publishing, camera calibration and diagnostics
are in the camera node.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from smolvla_ros.observation import NANOSECONDS, Frame


class CameraError(RuntimeError):
    """A source cannot deliver frames; the message names camera and device, what is wrong, and the remedy."""


class CameraSource(Protocol):
    """A source of frames; `Frame.stamp_ns` is its acquisition time, on the source's clock."""

    def read(self) -> Frame | None:
        """Wait for the next frame; None at the end or after `close`. Raises CameraError."""

    def close(self) -> None:
        """Release the device or file, and end a blocked read. May be called from another thread, and repeatedly."""


def size_notice(frame: Frame, width: int, height: int) -> str | None:
    """A message if a frame has another size than the robot file's width x height; else None."""
    given_height, given_width = frame.image.shape[:2]
    if (given_width, given_height) == (width, height):
        return None
    return (
        f"camera '{frame.camera}': frames are {given_width}x{given_height}, the robot file says {width}x{height}; "
        f"set width: {given_width} and height: {given_height} there, or give pictures of {width}x{height}"
    )


class Pacer:
    """Waits at a fixed rate without drift.

    After a delay of a whole period or more, the missed periods are skipped.
    """

    def __init__(
        self,
        rate_hz: float,
        now_ns: Callable[[], int] = time.monotonic_ns,
        sleep_s: Callable[[float], object] = time.sleep,
    ) -> None:
        if not 0.0 < rate_hz < float("inf"):
            raise CameraError(f"rate_hz must be above 0, got {rate_hz}")
        self._period_ns = NANOSECONDS / rate_hz
        self._now_ns = now_ns
        self._sleep_s = sleep_s
        self._start_ns: int | None = None
        self._periods = 0

    def wait(self) -> None:
        """Return at the next multiple of the period since the first call; at once if that has passed."""
        now = self._now_ns()
        if self._start_ns is None:
            self._start_ns = now
            return
        elapsed = now - self._start_ns
        self._periods = max(self._periods + 1, int(elapsed / self._period_ns))
        remaining_ns = round(self._periods * self._period_ns) - elapsed
        if remaining_ns > 0:
            self._sleep_s(remaining_ns / NANOSECONDS)


class ReopeningSource:
    """A source that is reopened after failures; `open_source` is called at the first read and after each failure.

    Every failure is raised; the next read waits (0.5 s, doubling up to 5 s) and tries again. A frame resets the waiting
    time. `close` ends the waiting, from any thread. `opened`: a first source that is open already.
    """

    FIRST_WAIT_S = 0.5
    LONGEST_WAIT_S = 5.0

    def __init__(
        self,
        open_source: Callable[[], CameraSource],
        opened: CameraSource | None = None,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        self._open_source = open_source
        self._first_wait_s = first_wait_s
        self._source = opened
        self._wait_s = 0.0
        self._closed = threading.Event()

    def read(self) -> Frame | None:
        """The next frame; None at the source's end or after `close`. Raises CameraError at every failure."""
        if self._source is None and self._closed.wait(self._wait_s):
            return None
        try:
            if self._source is None:
                self._source = self._open_source()
            frame = self._source.read()
        except CameraError:
            self._drop()
            if self._closed.is_set():
                return None  # caused by `close`
            self._wait_s = min(max(2.0 * self._wait_s, self._first_wait_s), self.LONGEST_WAIT_S)
            raise
        if self._closed.is_set():
            self._drop()
            return None
        self._wait_s = 0.0
        return frame

    def close(self) -> None:
        """Stop; a blocked read returns None."""
        self._closed.set()
        source = self._source
        if source is not None:
            source.close()

    def _drop(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
