# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of other camera drivers are converted to RGB, or refused with their encoding; none causes another error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cv_bridge import CvBridge
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import Image

from smolvla_ros.arrays import ImageArray
from smolvla_ros.image import ENCODINGS, ImageError, encode_png
from smolvla_ros.nodes.image_conversion import frame_from_image_msg
from smolvla_ros.nodes.messages import compressed_image_msg, image_msg
from smolvla_ros.observation import Frame

HEIGHT, WIDTH = 6, 8
RGB = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
ALPHA = np.full((HEIGHT, WIDTH, 1), 7, np.uint8)
FLAT = np.broadcast_to(np.array([200, 90, 30], np.uint8), (HEIGHT, WIDTH, 3))  # survives every interpolation


def message(encoding: str, pixels: ImageArray, padding: int = 0) -> Image:
    rows = np.pad(pixels.reshape(len(pixels), -1), ((0, 0), (0, padding)), constant_values=99)
    height = HEIGHT if encoding.startswith("nv") else pixels.shape[0]  # colours follow in more rows
    image = Image(height=height, width=pixels.shape[1], encoding=encoding, step=rows.shape[1])
    image.header.stamp.sec = 7
    image.data.frombytes(rows.tobytes())
    return image


def bayer(order: str) -> ImageArray:
    """FLAT as a Bayer mosaic; order: the colours of the 2x2 tile, row by row."""
    mosaic = np.empty((HEIGHT, WIDTH), np.uint8)
    for index, colour in enumerate(order):
        mosaic[index // 2 :: 2, index % 2 :: 2] = FLAT[0, 0, "rgb".index(colour)]
    return mosaic


def yuv(order: str) -> tuple[ImageArray, ImageArray]:
    """Pairs of pixels in ITU-R BT.601, bytes in this order, and the RGB that its matrix gives."""
    y = np.random.default_rng(2).integers(60, 180, (HEIGHT, WIDTH))
    u, v = np.full((HEIGHT, WIDTH // 2), 110), np.full((HEIGHT, WIDTH // 2), 150)
    of = {"0": y[:, 0::2], "1": y[:, 1::2], "u": u, "v": v}
    packed = np.stack([of[name] for name in order], axis=2).reshape(HEIGHT, WIDTH, 2).astype(np.uint8)
    luma, cb, cr = 1.164 * (y - 16.0), 110.0 - 128.0, 150.0 - 128.0
    rgb = np.stack([luma + 1.596 * cr, luma - 0.392 * cb - 0.813 * cr, luma + 2.017 * cb], axis=2)
    return packed, np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def planar(order: str) -> tuple[ImageArray, ImageArray]:
    """The image of `yuv`, its colours in rows of their own."""
    packed, rgb = yuv("0u1v")
    chroma = np.full((HEIGHT // 2, WIDTH), 110, np.uint8)
    chroma[:, order.index("v") :: 2] = 150
    return np.concatenate([packed[..., 0], chroma]), rgb


GREY = RGB[..., 0]
CASES: dict[str, tuple[ImageArray, ImageArray]] = {  # encoding: (published pixels, expected RGB)
    "rgb8": (RGB, RGB),
    "bgr8": (RGB[..., ::-1], RGB),
    "rgba8": (np.concatenate([RGB, ALPHA], axis=2), RGB),
    "bgra8": (np.concatenate([RGB[..., ::-1], ALPHA], axis=2), RGB),
    "mono8": (GREY, np.repeat(GREY[..., None], 3, axis=2)),
    "mono16": (np.stack([ALPHA[..., 0], GREY], axis=2), np.repeat(GREY[..., None], 3, axis=2)),
    "yuv422": yuv("u0v1"),
    "uyvy": yuv("u0v1"),
    "yuv422_yuy2": yuv("0u1v"),
    "yuyv": yuv("0u1v"),
    "nv12": planar("uv"),
    "nv21": planar("vu"),
    **{f"bayer_{order}8": (bayer(order), FLAT) for order in ("rggb", "bggr", "gbrg", "grbg")},
}


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("encoding", CASES)
def test_every_encoding_of_a_colour_camera_becomes_rgb(encoding: str, padding: int) -> None:
    pixels, expected = CASES[encoding]
    sent = message(encoding, pixels, padding)
    frame = frame_from_image_msg(sent, "top")
    tolerance = 2 if encoding.startswith(("yu", "uy", "nv")) else 0
    assert np.abs(frame.image.astype(int) - expected).max() <= tolerance
    assert (frame.camera, frame.stamp_ns) == ("top", 7_000_000_000)
    assert frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous
    sent.data[0] ^= 255  # the frame has its own memory
    np.testing.assert_array_equal(frame.image, frame_from_image_msg(message(encoding, pixels), "top").image)


def test_no_known_encoding_is_left_out_above() -> None:
    assert set(CASES) == {"rgb8", *ENCODINGS}


def test_compressed_images_are_read_too() -> None:
    sent = compressed_image_msg(Frame("top", 5, RGB), "", 90)
    sent.data = list(encode_png(RGB))
    np.testing.assert_array_equal(frame_from_image_msg(sent, "top").image, RGB)


def test_cv_bridge_reads_what_we_publish() -> None:
    np.testing.assert_array_equal(CvBridge().imgmsg_to_cv2(image_msg(Frame("top", 5, RGB), ""), "rgb8"), RGB)


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [
        ("16UC1", "'16UC1' is depth, not colour"),
        ("32FC1", "'32FC1' is depth, not colour"),
        ("8UC3", "'8UC3' is not supported (known: rgb8, bgr8, rgba8, bgra8, mono8, mono16, yuv422"),
        ("", "'' is not supported"),
    ],
)
def test_other_encodings_are_refused_by_name(encoding: str, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        frame_from_image_msg(message(encoding, RGB), "top")
    assert reason in str(caught.value)


def cut(image: Image) -> None:
    del image.data[-5:]


def too_high(image: Image) -> None:
    image.height = 2**32 - 1


def too_wide(image: Image) -> None:
    image.width = 2**32 - 2


def narrow_step(image: Image) -> None:
    image.step = 1


def flat(image: Image) -> None:
    image.height = 0


def empty(image: Image) -> None:
    del image.data[:]


@pytest.mark.parametrize("damage", [cut, too_high, too_wide, narrow_step, flat, empty])
@pytest.mark.parametrize("encoding", CASES)
def test_an_image_whose_fields_contradict_each_other_is_refused(
    encoding: str, damage: Callable[[Image], None]
) -> None:
    sent = message(encoding, CASES[encoding][0])
    damage(sent)
    with pytest.raises(ImageError):
        frame_from_image_msg(sent, "top")


@pytest.mark.parametrize("encoding", [name for name, kind in ENCODINGS.items() if kind.tile != (1, 1)])
def test_half_a_pair_of_pixels_is_refused(encoding: str) -> None:
    sent = message(encoding, CASES[encoding][0])
    sent.width -= 1
    with pytest.raises(ImageError, match=f"7x6, which is not possible with {encoding}"):
        frame_from_image_msg(sent, "top")


@settings(max_examples=200, deadline=None)
@given(
    encoding=st.sampled_from([*CASES, "16UC1", "mono16", "64FC4", "8UC2", "nv21"]),
    height=st.integers(0, 9) | st.integers(0, 2**32 - 1),
    width=st.integers(0, 9) | st.integers(0, 2**32 - 1),
    step=st.integers(0, 40) | st.integers(0, 2**32 - 1),
    data=st.binary(max_size=400),
    is_bigendian=st.integers(0, 255),
)
def test_any_message_becomes_an_image_of_its_size_or_an_image_error(**fields: Any) -> None:
    sent = Image(**{**fields, "data": list(fields["data"])})
    try:
        frame = frame_from_image_msg(sent, "top")
    except ImageError:
        return
    assert frame.image.shape == (fields["height"], fields["width"], 3)


def test_cv_bridge_is_not_loaded_before_an_image_needs_it() -> None:
    program = "import sys, smolvla_ros.nodes.observation_sync; sys.exit('cv_bridge' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
