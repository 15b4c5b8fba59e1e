# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of any camera driver on live topics -> Frames, through cv_bridge where it converts them.

rgb8, the encoding of our own cameras, is read without cv_bridge: a copy takes 0.05 ms (640x480) with either, and
cv_bridge would return the memory of the message. What some versions of cv_bridge cannot convert, and all images in
bags, which are read without ROS, are converted by `image.py`, to the same pixels.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from smolvla_ros.arrays import ImageArray
from smolvla_ros.image import ImageError, pixel_bytes
from smolvla_ros.observation import Frame
from smolvla_ros.wire import frame_from_msg, header_stamp_ns

# What every version of cv_bridge converts to rgb8: encoding -> bytes per pixel.
DIRECT = {"bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}


def frame_from_image_msg(msg: Any, camera: str) -> Frame:
    """sensor_msgs Image, in any encoding of `image.py`, or CompressedImage -> Frame; raises ImageError."""
    if getattr(msg, "encoding", "") not in DIRECT:
        return frame_from_msg(msg, camera)
    return Frame(camera, header_stamp_ns(msg), _rgb(msg))


def _rgb(msg: Any) -> ImageArray:
    """The pixels of a sensor_msgs/Image as its own RGB array (height, width, 3); raises ImageError."""
    encoding = str(msg.encoding)
    # Padding and short data are handled here, because versions of cv_bridge treat them differently.
    pixels = pixel_bytes(msg.data, msg.height, msg.width, encoding, msg.step, DIRECT[encoding])
    image = SimpleNamespace(
        height=msg.height,
        width=msg.width,
        encoding=encoding,
        is_bigendian=0,
        step=msg.width * DIRECT[encoding],
        data=pixels.data.cast("B"),
    )
    try:
        return np.asarray(_bridge().imgmsg_to_cv2(image, "rgb8"), np.uint8)
    except (TypeError, cv2.error) as error:  # CvBridgeError is a TypeError
        raise ImageError(
            f"{msg.width}x{msg.height} image in {encoding} cannot be converted: {error}"
        ) from error


@cache
def _bridge() -> Any:
    """cv_bridge, imported for the first image that needs it; raises ImageError if it is not installed."""
    try:
        from cv_bridge import CvBridge
    except ImportError as error:
        raise ImageError(
            f"cv_bridge cannot be loaded ({error}): apt install ros-jazzy-cv-bridge, or let the camera publish rgb8"
        ) from error
    return CvBridge()
