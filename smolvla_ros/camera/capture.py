# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a source in a thread that can be stopped at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from smolvla_ros.camera.source import CameraError, CameraSource
from smolvla_ros.observation import Frame


class Capture:
    """Reads `source` until it ends or `stop` is called; calls `use(frame)` or `fail(error)` for every read.

    Both are called in the reading thread before the next read, so no frame is skipped.
    """

    def __init__(
        self, source: CameraSource, use: Callable[[Frame], None], fail: Callable[[CameraError], None]
    ) -> None:
        self._source = source
        self._use = use
        self._fail = fail
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read_forever, name="capture")
        self._thread.start()

    def stop(self) -> None:
        """Close the source, which ends a blocked read, and join the thread; no callback is called after that."""
        self._stopping.set()
        self._source.close()
        self._thread.join()

    def _read_forever(self) -> None:
        while not self._stopping.is_set():
            try:
                frame = self._source.read()
            except CameraError as error:
                if not self._stopping.is_set():
                    self._fail(error)
                continue
            if frame is None or self._stopping.is_set():
                return
            self._use(frame)
