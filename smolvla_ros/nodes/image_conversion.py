# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of any camera driver on live topics -> Frames, through cv_bridge.

rgb8, the encoding of our own cameras, is read without cv_bridge: a copy takes 0.05 ms (640x480) with either, and
cv_bridge would return the memory of the message. Bags are read without ROS and cv_bridge, in the encodings of
`image.py` only.
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
# Encodings that some versions of cv_bridge cannot convert to rgb8. It reads them as plain channels, which OpenCV
# converts: encoding -> bytes per pixel, OpenCV's conversion.
PLAIN = {
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
}
DEPTH = ("16UC1", "32FC1")


def frame_from_image_msg(msg: Any, camera: str) -> Frame:
    """sensor_msgs Image, in any encoding of 8 bits a channel, or CompressedImage -> Frame; raises ImageError."""
    if getattr(msg, "encoding", "rgb8") == "rgb8":
        return frame_from_msg(msg, camera)
    return Frame(camera, header_stamp_ns(msg), _rgb(msg))


def _rgb(msg: Any) -> ImageArray:
    """The pixels of a sensor_msgs/Image as its own RGB array (height, width, 3); raises ImageError."""
    encoding = str(msg.encoding)
    _check_encoding(encoding)
    bytes_per_pixel, conversion = PLAIN.get(encoding) or (DIRECT[encoding], None)
    # Padding and short data are handled here, because versions of cv_bridge treat them differently.
    pixels = pixel_bytes(msg.data, msg.height, msg.width, encoding, msg.step, bytes_per_pixel)
    # pixels share colours with the next one in the row, in Bayer patterns also with the row below
    tile = 1 if conversion is None else 2
    if msg.width % tile or (encoding.startswith("bayer") and msg.height % tile):
        raise ImageError(
            f"the image is {msg.width}x{msg.height}, which is not possible with {encoding}: it repeats every 2 pixels"
        )
    image = SimpleNamespace(
        height=msg.height,
        width=msg.width,
        encoding=encoding if conversion is None else f"8UC{bytes_per_pixel}",
        is_bigendian=0,
        step=msg.width * bytes_per_pixel,
        data=pixels.data.cast("B"),
    )
    try:
        if conversion is None:
            return np.asarray(_bridge().imgmsg_to_cv2(image, "rgb8"), np.uint8)
        return np.asarray(cv2.cvtColor(_bridge().imgmsg_to_cv2(image, "passthrough"), conversion), np.uint8)
    except (TypeError, cv2.error) as error:  # CvBridgeError is a TypeError
        raise ImageError(
            f"{msg.width}x{msg.height} image in {encoding} cannot be converted: {error}"
        ) from error


def _check_encoding(encoding: str) -> None:
    if encoding in DEPTH:
        raise ImageError(f"image encoding '{encoding}' is depth, not colour; use the camera's colour topic")
    if encoding not in DIRECT and encoding not in PLAIN:
        raise ImageError(
            f"image encoding '{encoding}' is not supported (known: {', '.join(('rgb8', *DIRECT, *PLAIN))}); "
            "let the camera driver publish one of these"
        )


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
