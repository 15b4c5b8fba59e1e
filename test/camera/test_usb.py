# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""USB cameras, as far as testable without one: why a device does not open, the granted format."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from smolvla_ros.camera.source import CameraError
from smolvla_ros.camera.usb import CaptureFormat, UsbCamera, format_notice, fourcc_text
from smolvla_ros.camera.v4l2 import check_device, processes_using, video_devices

ASKED = CaptureFormat(640, 480, 30.0)
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="V4L2 is Linux")


def open_camera(device: int | str) -> UsbCamera:
    return UsbCamera("top", device, time.time_ns, width=640, height=480, rate_hz=30.0)


def test_a_missing_device_is_named_together_with_those_present() -> None:
    with pytest.raises(CameraError) as caught:
        open_camera(987)
    message = str(caught.value)
    assert message.startswith("camera 'top': /dev/video987 does not exist; ")
    for device in video_devices() or ["no /dev/video* is present: is the camera plugged in?"]:
        assert device in message


def test_an_ordinary_file_is_not_a_camera(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    with pytest.raises(CameraError, match="film.mp4 is not a device; to play a file use the video source"):
        open_camera(str(path))


@linux_only
def test_a_device_that_is_no_camera_is_refused_also_behind_a_link(tmp_path: Path) -> None:
    link = tmp_path / "usb-camera-index0"
    link.symlink_to("/dev/null")
    for device in ("/dev/null", str(link)):
        with pytest.raises(CameraError, match=f"camera 'top': {device} is not a V4L2 device"):
            open_camera(device)


@linux_only
@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_device_without_permission_says_which_group_to_join() -> None:
    with pytest.raises(CameraError, match="no permission for /dev/mem; .*usermod -aG video"):
        check_device("/dev/mem")


@linux_only
def test_processes_using_a_device_are_found(tmp_path: Path) -> None:
    path = tmp_path / "device"
    path.write_bytes(b"")
    assert processes_using(str(path)) == []
    with path.open("rb"):
        users = processes_using(str(path))
    assert len(users) == 1 and users[0].endswith(f"({os.getpid()})")


def test_only_another_rate_or_pixel_format_gives_a_notice() -> None:
    assert format_notice("top", ASKED, CaptureFormat(640, 480, 30.0)) is None
    slower = format_notice("top", ASKED, CaptureFormat(640, 480, 25.0))
    assert slower and "asked for 640x480 MJPG at 30 Hz, got 640x480 MJPG at 25 Hz" in slower
    raw = format_notice("top", ASKED, CaptureFormat(640, 480, 30.0, "YUYV"))
    assert raw and "got 640x480 YUYV at 30 Hz; without MJPG" in raw


def test_a_pixel_format_is_spelled_out() -> None:
    assert fourcc_text(0x47504A4D) == "MJPG"
    assert fourcc_text(0) == "unknown"
