# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A source read in a thread: no frame is skipped, and it can be stopped at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from smolvla_ros.camera.capture import Capture
from smolvla_ros.camera.folder import ImageFolder
from smolvla_ros.camera.source import CameraError, CameraSource, ReopeningSource
from smolvla_ros.camera.video import VideoFile
from smolvla_ros.observation import Frame

SLOW_HZ = 0.01
STOP_S = 5.0  # far less than any wait of these sources
IMAGE = np.zeros((2, 2, 3), np.uint8)


class Numbered:
    """A source of frames that are stamped 0, 1, 2 ..., of which every third read fails."""

    def __init__(self) -> None:
        self.reads = 0
        self.closed = threading.Event()

    def read(self) -> Frame | None:
        if self.closed.is_set():
            return None
        self.reads += 1
        if self.reads % 3 == 0:
            raise CameraError(f"read {self.reads} failed")
        return Frame("top", self.reads, IMAGE)

    def close(self) -> None:
        self.closed.set()


def stop_in_time(capture: Capture) -> None:
    stopping = threading.Thread(target=capture.stop, daemon=True)
    stopping.start()
    stopping.join(STOP_S)
    assert not stopping.is_alive()


def ignore(_: object) -> None:
    """Whatever was read."""


def test_every_frame_and_every_failure_is_handed_over_in_order() -> None:
    results: list[int | str] = []
    enough = threading.Event()

    def note(result: int | str) -> None:
        results.append(result)
        if len(results) == 9:
            enough.set()

    capture = Capture(Numbered(), lambda frame: note(frame.stamp_ns), lambda error: note(str(error)))
    assert enough.wait(STOP_S)
    stop_in_time(capture)
    assert results[:9] == [1, 2, "read 3 failed", 4, 5, "read 6 failed", 7, 8, "read 9 failed"]


def test_stopping_closes_the_source_and_ends_the_thread() -> None:
    source, arrived = Numbered(), threading.Event()
    capture = Capture(source, lambda _: arrived.set(), ignore)
    assert arrived.wait(STOP_S)
    stop_in_time(capture)
    assert source.closed.is_set()
    assert "capture" not in {thread.name for thread in threading.enumerate()}


def film(folder: Path) -> VideoFile:
    path = folder / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return VideoFile("top", path, lambda: 0, rate_hz=SLOW_HZ)


def pictures(folder: Path) -> ImageFolder:
    cv2.imwrite(str(folder / "0.png"), IMAGE)
    return ImageFolder("top", folder, lambda: 0, rate_hz=SLOW_HZ)


def unplugged(_folder: Path) -> ReopeningSource:
    def fail() -> CameraSource:
        raise CameraError("not there")

    return ReopeningSource(fail, first_wait_s=1.0 / SLOW_HZ)


@pytest.mark.parametrize("make", [film, pictures, unplugged])
def test_stopping_ends_a_wait_for_the_next_frame(
    make: Callable[[Path], CameraSource], tmp_path: Path
) -> None:
    arrived = threading.Event()
    capture = Capture(make(tmp_path), lambda _: arrived.set(), lambda _: arrived.set())
    assert arrived.wait(STOP_S)  # the next read waits for a hundred seconds
    stop_in_time(capture)
