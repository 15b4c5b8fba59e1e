# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A USB camera through V4L2.

Requests MJPG, without which two cameras do not fit on one USB 2 bus, and few buffers, so that frames are new;
buffers.BufferQueue drops old ones. source.ReopeningSource reopens it after it was unplugged.
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
BUFFERS = 2  # with one, the driver has none to fill during decoding, and every second frame is lost
FRAME_TIMEOUT_S = 2  # OpenCV's default is 10 s


@dataclass(frozen=True)
class CaptureFormat:
    """A requested or granted format."""

    width: int
    height: int
    rate_hz: float
    pixel_format: str = PIXEL_FORMAT

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.pixel_format} at {self.rate_hz:g} Hz"


class UsbCamera:
    """Frames of a V4L2 camera, stamped with the time at which the driver got them, on `clock_ns`.

    `device` is an index, /dev/videoN, or better the persistent name in /dev/v4l/by-id. The constructor takes a
    first frame, to detect a camera that cannot stream. Raises CameraError.
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
        self.requested = CaptureFormat(width, height, rate_hz)
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._closed = False
        try:
            node = check_device(self.device)
        except CameraError as error:
            raise CameraError(f"camera '{name}': {error}") from error
        # OpenCV has no function for it; it reads the variable when it first waits for a frame.
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(FRAME_TIMEOUT_S))
        self._queue = BufferQueue(self._grab, 2 * BUFFERS)  # a driver may use more than requested
        self._capture = cv2.VideoCapture(node, cv2.CAP_V4L2)
        try:
            self.granted = self._configure(node)
        except CameraError:
            self._capture.release()
            raise

    @property
    def notice(self) -> str | None:
        """A message if the granted format differs from the requested one; else None."""
        return format_notice(self.name, self.requested, self.granted)

    def read(self) -> Frame | None:
        """The next frame; None after `close`. Raises CameraError if the camera is lost."""
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
        """Release the device; waits for a read in progress."""
        self._closed = True
        with self._lock:
            self._capture.release()

    def _age_ns(self) -> int | None:
        """Grab the next usable frame; returns its age, None if none came. Raises CameraError."""
        try:
            return self._queue.take()
        except StaleBuffersError as error:
            raise CameraError(f"camera '{self.name}': {self.device} {error}; plug it in again") from error

    def _grab(self) -> float | None:
        """Wait for the next buffer; returns the driver's stamp in ms, None if none came."""
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) if self._capture.grab() else None

    def _configure(self, node: str) -> CaptureFormat:
        """Request the format and check that frames come; raises CameraError."""
        capture, requested = self._capture, self.requested
        if not capture.isOpened():
            raise CameraError(f"camera '{self.name}': {self.device} does not open{_in_use(node)}")
        # The pixel format first: sizes and rates depend on it.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*PIXEL_FORMAT))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, requested.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, requested.height)
        capture.set(cv2.CAP_PROP_FPS, requested.rate_hz)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, BUFFERS)
        granted = CaptureFormat(
            width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            rate_hz=float(capture.get(cv2.CAP_PROP_FPS)),
            pixel_format=fourcc_text(int(capture.get(cv2.CAP_PROP_FOURCC))),
        )
        if (granted.width, granted.height) != (requested.width, requested.height):
            raise CameraError(
                f"camera '{self.name}': asked {self.device} for {requested}, it gives {granted}; set width and "
                f"height to what it has: v4l2-ctl --device {self.device} --list-formats-ext"
            )
        if self._age_ns() is None:
            raise CameraError(
                f"camera '{self.name}': {self.device} opens ({granted}) but sends no frame{_in_use(node)}. "
                "If a line above says 'No space left on device' (ENOSPC), its USB bus is full: put the "
                "cameras on different USB controllers, not on one hub, or lower size or rate"
            )
        return granted


def format_notice(name: str, requested: CaptureFormat, granted: CaptureFormat) -> str | None:
    """A message about another rate or pixel format than requested, else None."""
    message = f"camera '{name}': asked for {requested}, got {granted}; "
    if granted.pixel_format != requested.pixel_format:
        return message + f"without {PIXEL_FORMAT} a USB 2 bus carries one camera only"
    if abs(granted.rate_hz - requested.rate_hz) > 0.01 * requested.rate_hz:
        return message + "the policy expects the rate of its training data"
    return None


def fourcc_text(code: int) -> str:
    """The four letters in a V4L2 pixel format."""
    return "".join(chr((code >> shift) & 0xFF) for shift in (0, 8, 16, 24)).strip("\0 ") or "unknown"


def _in_use(node: str) -> str:
    users = processes_using(node)
    return f"; it is in use by {', '.join(users)}" if users else ""
