# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the reason why a video device does not open; OpenCV reports none.

Reads the device, its permissions, its capabilities, and the processes that use it. Changes nothing.
"""

from __future__ import annotations

import fcntl
import glob
import os
import stat
import struct

from smolvla_ros.camera.source import CameraError

# linux/videodev2.h: _IOR('V', 0, struct v4l2_capability), 104 bytes; capabilities at 84, device_caps at 88
VIDIOC_QUERYCAP = 0x80685600
CAPABILITY_BYTES = 104
CAP_VIDEO_CAPTURE = 0x00000001
CAP_DEVICE_CAPS = 0x80000000


def video_devices() -> list[str]:
    """Paths of video devices: the persistent ones first, then /dev/videoN."""
    return sorted(glob.glob("/dev/v4l/by-id/*")) + sorted(glob.glob("/dev/video*"))


def check_device(device: str) -> str:
    """The device node of a path or link; raises CameraError if it is not a camera or may not be opened."""
    if not os.path.exists(device):
        raise CameraError(f"{device} does not exist; {_present()}")
    node = os.path.realpath(device)
    if not stat.S_ISCHR(os.stat(node).st_mode):
        raise CameraError(f"{device} is not a device; to play a file use the video source; {_present()}")
    if not os.access(node, os.R_OK | os.W_OK):
        raise CameraError(
            f"no permission for {device}; join its group and log in again: sudo usermod -aG video $USER"
        )
    capabilities = _capabilities(node, device)
    if not capabilities & CAP_VIDEO_CAPTURE:
        raise CameraError(
            f"{device} is not a capture device; a camera often has a second node for metadata, "
            f"take its first; {_present()}"
        )
    return node


def processes_using(path: str) -> list[str]:
    """Processes that have a device or file open, as 'name (pid)', as far as /proc may be read."""
    node = os.path.realpath(path)
    users = []
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) != node:
                continue
            pid = link.split("/")[2]
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
                user = f"{comm.read().strip()} ({pid})"
        except OSError:
            continue  # it has ended, or belongs to another user
        if user not in users:
            users.append(user)
    return users


def _capabilities(node: str, device: str) -> int:
    """The V4L2 capability bits of this node."""
    try:
        handle = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise CameraError(f"{device} cannot be opened: {error.strerror}") from error
    try:
        answer = fcntl.ioctl(handle, VIDIOC_QUERYCAP, bytes(CAPABILITY_BYTES))
    except OSError as error:
        raise CameraError(f"{device} is not a V4L2 device ({error.strerror}); {_present()}") from error
    finally:
        os.close(handle)
    whole, this_node = struct.unpack_from("=II", answer, 84)
    return int(this_node if whole & CAP_DEVICE_CAPS else whole)


def _present() -> str:
    devices = video_devices()
    return (
        f"present: {', '.join(devices)}"
        if devices
        else "no /dev/video* is present: is the camera plugged in?"
    )
