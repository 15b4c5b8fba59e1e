# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The age of a USB camera's frames, and which are dropped, with a model of a V4L2 driver's queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from smolvla_ros.camera.buffers import MAX_BUFFERS, BufferQueue, StaleBuffersError

MS = 1_000_000
SECOND = 1_000 * MS
PERIOD = 40 * MS
STAMPS: dict[str, Callable[[int], float]] = {  # when a buffer was filled -> its stamp in ms
    "monotonic": lambda filled_ns: filled_ns / MS,
    "none": lambda _: 0.0,
    "since the epoch": lambda filled_ns: 1.7e12 + filled_ns / MS,
    "of the camera": lambda filled_ns: (filled_ns - 90 * SECOND) / MS,
}


class Driver:
    """A camera of 25 Hz that fills a free buffer every period and loses frames while there is none."""

    def __init__(self, stamp: str = "monotonic", buffers: int = 2) -> None:
        self.now_ns = 100 * SECOND
        self.taken_ns = 0  # when the newest grabbed frame was taken
        self.silent = False
        self._stamp = STAMPS[stamp]
        self._buffers = buffers
        self._filled: deque[int] = deque()
        self._next_frame_ns = self.now_ns + PERIOD

    def read_clock(self) -> int:
        return self.now_ns

    def work(self, duration_ns: int) -> None:
        """The reader is busy with something else."""
        self.now_ns += duration_ns
        while self._next_frame_ns <= self.now_ns:
            if len(self._filled) < self._buffers:
                self._filled.append(self._next_frame_ns)
            self._next_frame_ns += PERIOD

    def grab(self) -> float | None:
        if self.silent:
            return None
        if not self._filled:
            self.work(self._next_frame_ns - self.now_ns)
        self.taken_ns = self._filled.popleft()
        return self._stamp(self.taken_ns)


def queue_of(driver: Driver) -> BufferQueue:
    return BufferQueue(driver.grab, 2, driver.read_clock)


def test_a_frame_is_as_old_as_the_driver_says() -> None:
    driver = Driver()
    queue = queue_of(driver)
    assert queue.take() == 0
    driver.work(70 * MS)
    assert queue.take() == 30 * MS
    driver.work(950 * MS)
    assert queue.take() == driver.now_ns - driver.taken_ns == 940 * MS


@pytest.mark.parametrize("stamp", STAMPS)
@pytest.mark.parametrize("stall_s", [1.2, 5.0, 600.0])
def test_what_the_driver_kept_during_a_stall_is_dropped(stamp: str, stall_s: float) -> None:
    driver = Driver(stamp)
    queue = queue_of(driver)
    for _ in range(3):
        queue.take()
    driver.work(round(stall_s * SECOND))
    for _ in range(3):
        age_ns = queue.take()
        assert age_ns is not None and age_ns <= SECOND
        assert driver.now_ns - driver.taken_ns == 0


@pytest.mark.parametrize("stamp", STAMPS)
def test_what_the_driver_kept_between_opening_and_the_first_read_is_dropped(stamp: str) -> None:
    driver = Driver(stamp)
    queue = queue_of(driver)
    driver.work(30 * SECOND)
    assert queue.take() == 0
    assert driver.now_ns == driver.taken_ns


@pytest.mark.parametrize("stamp", ["none", "since the epoch", "of the camera"])
def test_with_stamps_of_another_clock_no_frame_is_dropped_without_a_stall(stamp: str) -> None:
    driver = Driver(stamp)
    queue = queue_of(driver)
    taken = []
    for _ in range(10):
        assert queue.take() == 0
        taken.append(driver.taken_ns)
        driver.work(30 * MS)
    assert [later - earlier for earlier, later in zip(taken, taken[1:], strict=False)] == [PERIOD] * 9


def test_a_queue_longer_than_was_asked_for_is_emptied_too() -> None:
    driver = Driver(buffers=8)
    queue = queue_of(driver)
    queue.take()
    driver.work(10 * SECOND)
    assert queue.take() == 0


def test_a_reader_too_slow_for_the_camera_still_gets_new_frames() -> None:
    driver = Driver()
    queue = queue_of(driver)
    for _ in range(5):
        driver.work(1500 * MS)
        age_ns = queue.take()
        assert age_ns == driver.now_ns - driver.taken_ns and age_ns <= SECOND


def test_a_camera_that_sends_only_old_frames_is_an_error_not_an_endless_search() -> None:
    driver = Driver()
    lag_ms = 0.0
    queue = BufferQueue(lambda: (driver.grab() or 0.0) - lag_ms, 2, driver.read_clock)
    assert queue.take() == 0
    driver.work(10 * SECOND)
    lag_ms = 1500.0
    start_ns = driver.now_ns
    with pytest.raises(StaleBuffersError, match="only frames that are more than 1 s old"):
        queue.take()
    assert driver.now_ns - start_ns <= (MAX_BUFFERS + 1) * PERIOD


def test_no_frame_is_reported_at_once() -> None:
    driver = Driver()
    driver.silent = True
    assert queue_of(driver).take() is None
