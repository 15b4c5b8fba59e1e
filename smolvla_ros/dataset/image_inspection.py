# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the checks need of a camera's images: which repeat the previous one, which are black, how they look on average.

The images themselves are not kept. In a video, a repeated image is copied by the encoder without a change of its pixels
(mean difference below 0.01 grey levels; good images of textured scenes with slow motion: from 0.03), but for a key
frame, which is encoded again and differs like a new image where a scene is textured. So a key frame is compared with
the images around it: a repeated one differs from the previous image by a third of what they differ by, or less; where
motion is slow, it is missed. Measured with h264 and AV1, a key frame every other frame, and textures fine and coarse.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection

import cv2
import numpy as np

from smolvla_ros.arrays import BoolArray, Float32Array, FloatArray, ImageArray

THUMBNAIL = (16, 12)  # width, height
BLACK = 16  # grey levels; black as video stores it. In an image with any light some part is brighter
REPEATED = 0.02  # grey levels, the mean difference of a repeated image
KEY_FRAME_SHARE = 0.35  # of the differences around a key frame


class ImageInspector:
    """Looks at the images of one camera in order of arrival."""

    def __init__(self) -> None:
        self.black = 0  # images
        self.damage: list[str] = []  # what is wrong with images that cannot be decoded
        self.first_fault: int | None = None  # number of the first image that is black or cannot be decoded
        self._differences = array("d")  # of each image from the previous one
        self._sum = np.zeros((*THUMBNAIL[::-1], 3))
        self._seen = 0
        self._last: ImageArray | None = None
        self._is_black = False

    def add(self, image: ImageArray) -> None:
        """Look at an RGB image (height, width, 3)."""
        last = self._last
        if last is None or last.shape != image.shape:
            self._differences.append(np.inf)
        else:
            self._differences.append(cv2.norm(image, last, cv2.NORM_L1) / image.size)
        small = np.asarray(cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float64)
        self._is_black = bool(small.max() < BLACK)
        self.black += self._is_black
        if self._is_black:
            self._note_fault()
        self._sum += small
        self._seen += 1
        self._last = image

    def add_same(self) -> None:
        """The bytes of the previous image have come again."""
        self._differences.append(0.0)
        self.black += self._is_black

    def add_damaged(self, text: str) -> None:
        self._differences.append(np.inf)
        self._note_fault()
        self.damage.append(text)
        self._is_black = False

    def _note_fault(self) -> None:
        if self.first_fault is None:
            self.first_fault = len(self._differences) - 1

    @property
    def mean_image(self) -> Float32Array | None:
        """The mean of all images, as a thumbnail (12, 16, 3) in grey levels; None without images."""
        return (self._sum / self._seen).astype(np.float32) if self._seen else None

    def is_new(self, key_frames: Collection[int] = ()) -> BoolArray:
        """Which images differ from the previous one; the first one does. `key_frames`: their numbers in the video."""
        return find_new_images(np.array(self._differences), key_frames)


def find_new_images(differences: FloatArray, key_frames: Collection[int]) -> BoolArray:
    """Which images are no repetition, by the mean difference of each from the previous one, (n,) grey levels."""
    is_new = differences >= REPEATED
    for index in key_frames:
        if 1 < index < len(differences) - 1 and is_new[index - 1] and is_new[index + 1]:
            around = min(differences[index - 1], differences[index + 1])
            is_new[index] &= differences[index] >= KEY_FRAME_SHARE * around
    is_new[:1] = True
    return np.asarray(is_new)
