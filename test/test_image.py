# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message bytes to RGB and back: every encoding, padded rows, compressed files, and what is refused."""

from __future__ import annotations

import array
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from smolvla_ros.arrays import ImageArray
from smolvla_ros.image import ImageError, decode_compressed, encode_jpeg, encode_png, to_rgb

RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
ALPHA = np.full((2, 3, 1), 200, np.uint8)
IN_ENCODING = {
    "rgb8": RGB,
    "bgr8": RGB[..., ::-1],
    "rgba8": np.concatenate([RGB, ALPHA], axis=2),
    "bgra8": np.concatenate([RGB[..., ::-1], ALPHA], axis=2),
}


def smooth_image() -> ImageArray:
    """Colours that JPEG keeps well, different in every channel and direction."""
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    red, green = np.meshgrid(ramp, ramp)
    return np.stack([red, green, np.full_like(red, 60)], axis=2)


@pytest.mark.parametrize("encoding", IN_ENCODING)
@pytest.mark.parametrize("padding", [0, 5])
def test_each_colour_encoding_becomes_rgb(encoding: str, padding: int) -> None:
    pixels = IN_ENCODING[encoding]
    rows = pixels.reshape(2, -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    image = to_rgb(padded.tobytes(), 2, 3, encoding, rows.shape[1] + padding)
    np.testing.assert_array_equal(image, RGB)
    assert image.flags.c_contiguous and image.dtype == np.uint8


def test_grey_becomes_three_equal_channels() -> None:
    image = to_rgb(bytes([1, 2, 3, 0, 4, 5, 6, 0]), 2, 3, "mono8", 4)
    np.testing.assert_array_equal(image[..., 0], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


def test_the_array_of_a_live_message_is_read_and_not_shared() -> None:
    data = array.array("B", RGB.tobytes())
    image = to_rgb(data, 2, 3, "rgb8", 9)
    data[0] = 77
    np.testing.assert_array_equal(image, RGB)


def test_the_last_row_may_come_without_padding() -> None:
    data = RGB[0].tobytes() + b"\0\0\0" + RGB[1].tobytes()
    np.testing.assert_array_equal(to_rgb(data, 2, 3, "rgb8", 12), RGB)


@pytest.mark.parametrize(
    ("data", "height", "width", "encoding", "step", "message"),
    [
        (bytes(18), 2, 3, "16UC1", 6, "'16UC1' is depth, not colour"),
        (
            bytes(18),
            2,
            3,
            "8UC3",
            6,
            "'8UC3' is not supported (known: rgb8, bgr8, rgba8, bgra8, mono8, mono16",
        ),
        (bytes(17), 2, 3, "rgb8", 9, "truncated: 17 bytes, 3x2 in rgb8 with 9 bytes a row needs 18"),
        (b"", 2, 3, "rgb8", 9, "truncated: 0 bytes"),
        (bytes(18), 2, 3, "rgb8", 8, "step is 8 bytes, a row of 3 pixels in rgb8 needs at least 9"),
        (bytes(18), 0, 3, "rgb8", 9, "the image is 3x0"),
    ],
)
def test_a_message_that_does_not_add_up_is_refused(
    data: bytes, height: int, width: int, encoding: str, step: int, message: str
) -> None:
    with pytest.raises(ImageError) as caught:
        to_rgb(data, height, width, encoding, step)
    assert message in str(caught.value)


def test_png_is_exact() -> None:
    np.testing.assert_array_equal(decode_compressed(encode_png(RGB)), RGB)


def test_jpeg_keeps_the_colours_in_their_channels() -> None:
    image = smooth_image()
    decoded = decode_compressed(encode_jpeg(image, 95))
    assert np.abs(decoded.astype(int) - image).mean() < 3.0


def test_lower_quality_makes_a_smaller_jpeg() -> None:
    image = smooth_image()
    assert len(encode_jpeg(image, 20)) < len(encode_jpeg(image, 95))


def test_a_grey_jpeg_becomes_rgb() -> None:
    _, encoded = cv2.imencode(".jpg", np.full((8, 8), 120, np.uint8))
    assert decode_compressed(array.array("B", encoded.tobytes())).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "compressed image is empty"),
        (b"GIF89a..", "none of JPEG, PNG and WebP: 8 bytes starting with 47 49 46"),
        (encode_jpeg(smooth_image())[:-200], "JPEG image is truncated"),
        (encode_png(smooth_image())[:-30], "PNG image is truncated"),
        (b"\xff\xd8\xff" + bytes(50) + b"\xff\xd9", "is corrupt"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30) + b"IEND", "is corrupt"),
    ],
)
def test_a_damaged_file_is_refused_and_not_filled_with_grey(content: bytes, message: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode_compressed(content)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "image", [RGB.astype(np.float32), RGB[..., :2], RGB[..., 0], np.zeros((0, 3, 3), np.uint8)]
)
def test_only_rgb_bytes_are_encoded(image: npt.NDArray[Any]) -> None:
    with pytest.raises(ImageError, match="expected an RGB uint8 image"):
        encode_jpeg(image)


def test_quality_and_compression_have_bounds() -> None:
    with pytest.raises(ImageError, match=r"quality must be 1 \.\. 100, got 101"):
        encode_jpeg(RGB, 101)
    with pytest.raises(ImageError, match=r"compression must be 0 \.\. 9, got -1"):
        encode_png(RGB, -1)


def test_the_upper_byte_of_mono16_is_used_in_either_byte_order() -> None:
    grey = np.array([[1000, 40000]], np.uint16)
    for order, is_bigendian in (("<u2", False), (">u2", True)):
        image = to_rgb(grey.astype(order).tobytes(), 1, 2, "mono16", 4, is_bigendian)
        np.testing.assert_array_equal(image[0, :, 0], [3, 156])


def test_webp_is_read_and_refused_when_it_is_truncated() -> None:
    done, data = cv2.imencode(".webp", smooth_image()[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101])  # lossless
    assert done
    np.testing.assert_array_equal(decode_compressed(data.tobytes()), smooth_image())
    with pytest.raises(ImageError, match="WebP image is truncated"):
        decode_compressed(data.tobytes()[:-5])
