# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera source from a video file: in real time, in a loop.

For testing a policy on a recorded scene. No frame is skipped: with a slow reader the video is slowed down.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path

import cv2

from smolvla_ros.camera.source import CameraError, Pacer
from smolvla_ros.image import bgr_to_rgb
from smolvla_ros.observation import Frame

HIGHEST_FILE_RATE_HZ = 1000.0  # containers without a rate report their time base, such as 90000


class VideoFile:
    """The frames of a video, at its own rate or at `rate_hz`; stamped by `clock_ns` when they are due."""

    def __init__(
        self,
        name: str,
        path: str | Path,
        clock_ns: Callable[[], int],
        *,
        rate_hz: float | None = None,
        loop: bool = True,
    ) -> None:
        self.name = name
        self.path = Path(path)
        self._clock_ns = clock_ns
        self._loop = loop
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._frames_this_round = 0
        self._capture = self._open()
        self.rate_hz = self._file_rate() if rate_hz is None else rate_hz
        self._pacer = Pacer(self.rate_hz, sleep_s=self._closed.wait)

    def read(self) -> Frame | None:
        """The next frame when it is due; None after `close`, and at the end without `loop`."""
        if not self._closed.is_set():
            self._pacer.wait()
        with self._lock:
            if self._closed.is_set():
                return None
            stamp_ns = self._clock_ns()
            decoded, bgr = self._capture.read()
            if not decoded and self._loop:
                self._rewind()
                decoded, bgr = self._capture.read()
            if not decoded:
                self._check_any_frames()
                return None
            self._frames_this_round += 1
        return Frame(self.name, stamp_ns, bgr_to_rgb(bgr))

    def close(self) -> None:
        """Close the file."""
        self._closed.set()
        with self._lock:
            self._capture.release()

    def _open(self) -> cv2.VideoCapture:
        if not self.path.exists():
            raise CameraError(f"camera '{self.name}': video '{self.path}' does not exist")
        if not self.path.is_file():
            raise CameraError(
                f"camera '{self.name}': '{self.path}' is not a file; for a folder use ImageFolder"
            )
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise CameraError(
                f"camera '{self.name}': '{self.path}' cannot be opened as a video; "
                "check that it plays elsewhere and that you may read it (an .mp4 with H.264 is safe)"
            )
        return capture

    def _rewind(self) -> None:
        """Open again: seeking back to frame 0 is not exact in every container."""
        self._capture.release()
        self._capture = self._open()
        self._frames_this_round = 0

    def _check_any_frames(self) -> None:
        if self._frames_this_round == 0:
            raise CameraError(
                f"camera '{self.name}': video '{self.path}' opens but holds no frame that can be decoded"
            )

    def _file_rate(self) -> float:
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        if not math.isfinite(rate) or not 0.0 < rate <= HIGHEST_FILE_RATE_HZ:
            raise CameraError(
                f"camera '{self.name}': video '{self.path}' states no usable rate ({rate}); give rate_hz"
            )
        return rate
