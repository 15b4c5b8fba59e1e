# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images: message bytes to RGB arrays, JPEG and PNG encoding and decoding.

Inside the package, an image is RGB uint8 of shape (height, width, 3). Functions take the fields of a message. No lens
correction; depth raises ImageError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from smolvla_ros.arrays import ImageArray


@dataclass(frozen=True)
class Encoding:
    """An encoding of sensor_msgs/Image that OpenCV converts to RGB."""

    bytes_per_pixel: int
    conversion: int  # of cv2.cvtColor
    tile: tuple[int, int] = (1, 1)  # width and height of the pattern that pixels share colours in
    has_chroma_rows: bool = False  # half as many rows again follow, with the colours


_BAYER = {
    "rggb": cv2.COLOR_BayerRGGB2RGB,
    "bggr": cv2.COLOR_BayerBGGR2RGB,
    "gbrg": cv2.COLOR_BayerGBRG2RGB,
    "grbg": cv2.COLOR_BayerGRBG2RGB,
}
ENCODINGS = {
    "bgr8": Encoding(3, cv2.COLOR_BGR2RGB),
    "rgba8": Encoding(4, cv2.COLOR_RGBA2RGB),
    "bgra8": Encoding(4, cv2.COLOR_BGRA2RGB),
    "mono8": Encoding(1, cv2.COLOR_GRAY2RGB),
    "mono16": Encoding(2, cv2.COLOR_GRAY2RGB),
    "yuv422": Encoding(2, cv2.COLOR_YUV2RGB_UYVY, (2, 1)),
    "uyvy": Encoding(2, cv2.COLOR_YUV2RGB_UYVY, (2, 1)),
    "yuv422_yuy2": Encoding(2, cv2.COLOR_YUV2RGB_YUY2, (2, 1)),
    "yuyv": Encoding(2, cv2.COLOR_YUV2RGB_YUY2, (2, 1)),
    "nv12": Encoding(1, cv2.COLOR_YUV2RGB_NV12, (2, 2), has_chroma_rows=True),
    "nv21": Encoding(1, cv2.COLOR_YUV2RGB_NV21, (2, 2), has_chroma_rows=True),
    **{f"bayer_{order}8": Encoding(1, conversion, (2, 2)) for order, conversion in _BAYER.items()},
}
DEPTH = ("16UC1", "32FC1")
JPEG_QUALITY = 90  # of compressed images, unless another is chosen
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"
WEBP_START = re.compile(rb"RIFF(.{4})WEBP", re.DOTALL)


class ImageError(ValueError):
    """An image cannot be read or written; the message has the format, what was expected, and the remedy."""


def to_rgb(
    data: Any, height: int, width: int, encoding: str, step: int, is_bigendian: bool = False
) -> ImageArray:
    """The pixels of a sensor_msgs/Image as a new RGB array (height, width, 3).

    `data` supports the buffer protocol (bytes, array.array, numpy), `step` is the number of bytes per row,
    with padding. Of mono16 the upper byte is used. Raises ImageError.
    """
    if encoding == "rgb8":
        return np.array(pixel_bytes(data, height, width, encoding, step, 3))
    check_encoding(encoding)
    kind = ENCODINGS[encoding]
    if width % kind.tile[0] or height % kind.tile[1]:
        raise ImageError(
            f"the image is {width}x{height}, which is not possible with {encoding}: it repeats every 2 pixels"
        )
    rows = height * 3 // 2 if kind.has_chroma_rows else height
    pixels = pixel_bytes(data, rows, width, encoding, step, kind.bytes_per_pixel)
    if encoding == "mono16":
        pixels = np.ascontiguousarray(pixels[..., 0 if is_bigendian else 1])
    try:
        return np.asarray(cv2.cvtColor(pixels, kind.conversion), np.uint8)
    except cv2.error as error:
        raise ImageError(f"{width}x{height} image in {encoding} cannot be converted: {error}") from error


def check_encoding(encoding: str) -> None:
    """Raise ImageError if `to_rgb` does not know an encoding."""
    if encoding in DEPTH:
        raise ImageError(f"image encoding '{encoding}' is depth, not colour; use the camera's colour topic")
    if encoding != "rgb8" and encoding not in ENCODINGS:
        raise ImageError(
            f"image encoding '{encoding}' is not supported (known: rgb8, {', '.join(ENCODINGS)}); "
            "let the camera driver publish one of these"
        )


def pixel_bytes(
    data: Any, height: int, width: int, encoding: str, step: int, bytes_per_pixel: int
) -> ImageArray:
    """The bytes of a sensor_msgs/Image without the padding of its rows: (height, width, bytes_per_pixel), contiguous.

    Shares the memory of `data` where there is no padding. Raises ImageError if height, width, step and data
    contradict each other.
    """
    if height < 1 or width < 1:
        raise ImageError(f"the image is {width}x{height}: width and height must be positive")
    if step < width * bytes_per_pixel:
        raise ImageError(
            f"step is {step} bytes, a row of {width} pixels in {encoding} needs at least {width * bytes_per_pixel}"
        )
    flat = np.frombuffer(data, dtype=np.uint8)
    needed = (height - 1) * step + width * bytes_per_pixel  # the last row may have no padding
    if flat.size < needed:
        raise ImageError(
            f"image data is truncated: {flat.size} bytes, "
            f"{width}x{height} in {encoding} with {step} bytes a row needs {needed}"
        )
    rows = np.lib.stride_tricks.as_strided(
        flat, shape=(height, width, bytes_per_pixel), strides=(step, bytes_per_pixel, 1), writeable=False
    )
    return np.ascontiguousarray(rows)


def bgr_to_rgb(bgr: Any) -> ImageArray:
    """An image as OpenCV reads it (height, width, 3), as RGB."""
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def fitted_size(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    """Width and height of an image after it is scaled, with its aspect ratio, to fit; SmolVLA pads the rest."""
    ratio = max(width / max_width, height / max_height)
    return max(int(width / ratio), 1), max(int(height / ratio), 1)


def encode_jpeg(rgb: ImageArray, quality: int = JPEG_QUALITY) -> bytes:
    """JPEG of an RGB image; `quality` 1 .. 100. Raises ImageError."""
    if not 1 <= quality <= 100:
        raise ImageError(f"JPEG quality must be 1 .. 100, got {quality}")
    return _encode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])


def as_sent(rgb: ImageArray, quality: int = JPEG_QUALITY) -> ImageArray:
    """An RGB image as it arrives when it is sent as JPEG; raises ImageError."""
    return decode_compressed(encode_jpeg(rgb, quality))


def encode_png(rgb: ImageArray, compression: int = 3) -> bytes:
    """PNG of an RGB image, lossless; `compression` 0 (fast) .. 9 (small). Raises ImageError."""
    if not 0 <= compression <= 9:
        raise ImageError(f"PNG compression must be 0 .. 9, got {compression}")
    return _encode(".png", rgb, [cv2.IMWRITE_PNG_COMPRESSION, compression])


def decode_compressed(data: Any) -> ImageArray:
    """The RGB image (height, width, 3) in the bytes of a JPEG, PNG or WebP, as in sensor_msgs/CompressedImage.

    Grey becomes RGB, transparency is dropped. Raises ImageError, also for a truncated file: OpenCV would
    silently fill the missing part of a JPEG with grey.
    """
    content = bytes(data)
    _check_complete(content)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # pixels as stored, without EXIF rotation
    try:
        bgr = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"compressed image of {len(content)} bytes cannot be decoded: {error}") from error
    if bgr is None:
        raise ImageError(f"compressed image of {len(content)} bytes is corrupt: it cannot be decoded")
    return bgr_to_rgb(bgr)


def _encode(extension: str, rgb: ImageArray, options: list[int]) -> bytes:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise ImageError(f"expected an RGB uint8 image (height, width, 3), got {rgb.dtype} {rgb.shape}")
    done, encoded = cv2.imencode(extension, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ImageError(f"OpenCV could not encode an image of shape {rgb.shape} as {extension}")
    return encoded.tobytes()


def _check_complete(content: bytes) -> None:
    if not content:
        raise ImageError("compressed image is empty")
    for name, start, end in (("JPEG", JPEG_START, JPEG_END), ("PNG", PNG_START, PNG_END)):
        if content.startswith(start):
            if content.rfind(end) < 0:
                raise ImageError(f"{name} image is truncated: {len(content)} bytes without an end marker")
            return
    if start_of_webp := WEBP_START.match(content):
        size = 8 + int.from_bytes(start_of_webp[1], "little")
        if len(content) < size:
            raise ImageError(f"WebP image is truncated: {len(content)} of {size} bytes")
        return
    raise ImageError(
        f"compressed image is none of JPEG, PNG and WebP: {len(content)} bytes starting with {content[:8].hex(' ')}"
    )
