# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A USB camera through V4L2.

Asks for MJPG, without which two cameras do not fit on one USB 2 bus, and for few buffers, so that a frame is
new and not one that waited; buffers.BufferQueue drops those that waited. Coming back after the plug was pulled is
the work of source.ReopeningSource.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

import cv2

from smolvla_ros.camera.buffers import BufferQueue, StaleBuffersError
from smolvla_ros.camera.source import CameraError
from smolvla_ros.camera.v4l2 import check_device, processes_using
from smolvla_ros.image import bgr_to_rgb
from smolvla_ros.observation import Frame

PIXEL_FORMAT = "MJPG"
BUFFERS = 2  # with one, the driver has none to fill while we decode, and every second frame is lost
FRAME_TIMEOUT_S = 2  # OpenCV waits 10 s for a camera that fell silent


@dataclass(frozen=True)
class CaptureFormat:
    """What a camera was asked for, or what it gave."""

    width: int
    height: int
    rate_hz: float
    pixel_format: str = PIXEL_FORMAT

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.pixel_format} at {self.rate_hz:g} Hz"


class UsbCamera:
    """Frames of a V4L2 camera, stamped with the time at which the driver got them, on `clock_ns`.

    `device` is an index, /dev/videoN, or better the lasting name in /dev/v4l/by-id: indices change with every
    plug. Opening takes a first frame, so that a camera that cannot stream is found out at once. Raises
    CameraError.
    """

    def __init__(
        self,
        name: str,
        device: int | str,
        clock_ns: Callable[[], int],
        *,
        width: int,
        height: int,
        rate_hz: float,
    ) -> None:
        self.name = name
        self.device = f"/dev/video{device}" if isinstance(device, int) else device
        self.asked = CaptureFormat(width, height, rate_hz)
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._closed = False
        try:
            node = check_device(self.device)
        except CameraError as error:
            raise CameraError(f"camera '{name}': {error}") from error
        # OpenCV has no call for it, and reads the variable when it first waits for a frame.
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(FRAME_TIMEOUT_S))
        self._queue = BufferQueue(self._grab, 2 * BUFFERS)  # a driver may take more than it was asked for
        self._capture = cv2.VideoCapture(node, cv2.CAP_V4L2)
        try:
            self.granted = self._configure(node)
        except CameraError:
            self._capture.release()
            raise

    @property
    def notice(self) -> str | None:
        """What to tell the user about the format that was granted; None when it is the one asked for."""
        return format_notice(self.name, self.asked, self.granted)

    def read(self) -> Frame | None:
        """The next frame; None after `close`. Raises CameraError when the camera is gone."""
        with self._lock:
            if self._closed:
                return None
            age_ns = self._age_ns()
            if age_ns is None:
                raise CameraError(
                    f"camera '{self.name}': {self.device} was unplugged or sent nothing for "
                    f"{FRAME_TIMEOUT_S} s; check cable and hub"
                )
            stamp_ns = self._clock_ns() - age_ns
            decoded, bgr = self._capture.retrieve()
        if not decoded:
            raise CameraError(f"camera '{self.name}': {self.device} sent a frame that cannot be decoded")
        return Frame(self.name, stamp_ns, bgr_to_rgb(bgr))

    def close(self) -> None:
        """Give the device back; waits for a read in progress."""
        self._closed = True
        with self._lock:
            self._capture.release()

    def _age_ns(self) -> int | None:
        """Grab the next frame that is fit for use and tell its age; None when none came. Raises CameraError."""
        try:
            return self._queue.take()
        except StaleBuffersError as error:
            raise CameraError(f"camera '{self.name}': {self.device} {error}; plug it in again") from error

    def _grab(self) -> float | None:
        """Wait for the next buffer; the driver's stamp in ms, None when none came."""
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) if self._capture.grab() else None

    def _configure(self, node: str) -> CaptureFormat:
        """Ask for the format and see that frames come; raises CameraError."""
        capture, asked = self._capture, self.asked
        if not capture.isOpened():
            raise CameraError(f"camera '{self.name}': {self.device} does not open{_in_use(node)}")
        # The pixel format first: sizes and rates depend on it.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*PIXEL_FORMAT))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, asked.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, asked.height)
        capture.set(cv2.CAP_PROP_FPS, asked.rate_hz)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, BUFFERS)
        granted = CaptureFormat(
            width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            rate_hz=float(capture.get(cv2.CAP_PROP_FPS)),
            pixel_format=fourcc_text(int(capture.get(cv2.CAP_PROP_FOURCC))),
        )
        if (granted.width, granted.height) != (asked.width, asked.height):
            raise CameraError(
                f"camera '{self.name}': asked {self.device} for {asked}, it gives {granted}; set width and "
                f"height to what it has: v4l2-ctl --device {self.device} --list-formats-ext"
            )
        if self._age_ns() is None:
            raise CameraError(
                f"camera '{self.name}': {self.device} opens ({granted}) but sends no frame{_in_use(node)}. "
                "If a line above says 'No space left on device' (ENOSPC), its USB bus is full: put the "
                "cameras on different USB controllers, not on one hub, or lower size or rate"
            )
        return granted


def format_notice(name: str, asked: CaptureFormat, granted: CaptureFormat) -> str | None:
    """A sentence about a rate or pixel format other than the one asked for, else None."""
    said = f"camera '{name}': asked for {asked}, got {granted}; "
    if granted.pixel_format != asked.pixel_format:
        return said + f"without {PIXEL_FORMAT} a USB 2 bus carries one camera only"
    if abs(granted.rate_hz - asked.rate_hz) > 0.01 * asked.rate_hz:
        return said + "the policy expects the rate of its training data"
    return None


def fourcc_text(code: int) -> str:
    """The four letters in a V4L2 pixel format."""
    return "".join(chr((code >> shift) & 0xFF) for shift in (0, 8, 16, 24)).strip("\0 ") or "unknown"


def _in_use(node: str) -> str:
    users = processes_using(node)
    return f"; it is in use by {', '.join(users)}" if users else ""
