# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixed-rate waiting without drift, and reopening of a source that failed."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from smolvla_ros.camera.source import CameraError, CameraSource, Pacer, ReopeningSource, size_notice
from smolvla_ros.observation import Frame

FRAME = Frame("top", 1, np.zeros((2, 2, 3), np.uint8))


class Time:
    """A clock that `sleep` advances."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000

    def read(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


class Flaky:
    """A source that gives `frames` frames and then fails."""

    def __init__(self, frames: int) -> None:
        self.left = frames
        self.closed = False

    def read(self) -> Frame | None:
        if self.left == 0:
            raise CameraError("unplugged")
        self.left -= 1
        return FRAME

    def close(self) -> None:
        self.closed = True


def test_wakes_stay_on_the_grid_however_long_the_work_takes() -> None:
    time_ = Time()
    pacer = Pacer(30.0, time_.read, time_.sleep)
    wakes = []
    for step in range(301):
        pacer.wait()
        wakes.append(time_.now_ns)
        time_.now_ns += (step % 30) * 1_000_000  # work of 0 .. 29 ms in a period of 33 ms
    late_ns = np.array(wakes) - (wakes[0] + np.arange(301) * 1e9 / 30.0)
    assert np.abs(late_ns).max() <= 1


def test_missed_periods_are_skipped() -> None:
    time_ = Time()
    pacer = Pacer(10.0, time_.read, time_.sleep)
    pacer.wait()
    start = time_.now_ns
    time_.now_ns += 340_000_000
    wakes = []
    for _ in range(3):
        pacer.wait()
        wakes.append((time_.now_ns - start) // 1_000_000)
    assert wakes == [340, 400, 500]


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_must_be_a_positive_number(rate_hz: float) -> None:
    with pytest.raises(CameraError, match="rate_hz must be above 0"):
        Pacer(rate_hz)


def test_a_source_that_fails_is_closed_reported_and_opened_again() -> None:
    opened: list[Flaky] = []

    def open_source() -> CameraSource:
        opened.append(Flaky(frames=2))
        return opened[-1]

    source = ReopeningSource(open_source, first_wait_s=0.01)
    for _ in range(2):
        assert [source.read(), source.read()] == [FRAME, FRAME]
        with pytest.raises(CameraError, match="unplugged"):
            source.read()
    assert [entry.closed for entry in opened] == [True, True]


def test_waiting_grows_with_each_failure_and_is_reset_by_a_frame() -> None:
    attempts: list[float] = []
    present = False

    def open_source() -> CameraSource:
        attempts.append(time.monotonic())
        if not present:
            raise CameraError("not there")
        return Flaky(frames=1)

    source = ReopeningSource(open_source, first_wait_s=0.04)
    for _ in range(3):
        with pytest.raises(CameraError, match="not there"):
            source.read()
    assert attempts[1] - attempts[0] >= 0.04
    assert attempts[2] - attempts[1] >= 0.08
    present = True
    assert source.read() is FRAME
    with pytest.raises(CameraError, match="unplugged"):
        source.read()
    assert source.read() is FRAME
    assert 0.04 <= attempts[-1] - attempts[-2] < 0.3  # 0.16 + 0.32 s, if the delay had not been reset


def test_closing_ends_a_read_that_waits_for_the_source_to_come_back() -> None:
    source = ReopeningSource(lambda: Flaky(frames=0), first_wait_s=30.0)
    with pytest.raises(CameraError):
        source.read()
    results: list[Frame | None] = [FRAME]
    reader = threading.Thread(target=lambda: results.append(source.read()))
    reader.start()
    source.close()
    reader.join(timeout=5.0)
    assert not reader.is_alive()
    assert results[-1] is None


def test_a_source_that_was_opened_before_is_read_first_and_closed_though_never_read() -> None:
    first, second = Flaky(frames=1), Flaky(frames=1)
    source = ReopeningSource(lambda: second, opened=first, first_wait_s=0.01)
    assert source.read() is FRAME and (first.left, second.left) == (0, 1)
    unread = ReopeningSource(lambda: second, opened=second)
    unread.close()
    assert second.closed


def test_frames_of_another_size_than_the_robot_file_states_are_named_with_both() -> None:
    frame = Frame("top", 1, np.zeros((720, 1280, 3), np.uint8))
    assert size_notice(frame, 1280, 720) is None
    notice = size_notice(frame, 640, 480)
    assert (
        notice and "camera 'top': frames are 1280x720, the robot file says 640x480; set width: 1280" in notice
    )
