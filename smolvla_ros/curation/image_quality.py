# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a camera's images are large, bright, rich in contrast and sharp enough to learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from smolvla_ros.arrays import ImageArray
from smolvla_ros.settings import Settings, setting

MAX_WIDTH = 320  # sharpness is measured at this width, so that it does not depend on the camera's resolution


@dataclass(frozen=True)
class ImageSettings(Settings):
    """Limits of an image. Grey levels are 0 .. 255."""

    min_height: int = setting(200, "pixels of an image's height, at least", bounds=(1, None))
    min_brightness: float = setting(25.0, "mean grey level of a camera, at least", bounds=(0.0, 255.0))
    max_brightness: float = setting(235.0, "mean grey level of a camera, at most", bounds=(0.0, 255.0))
    min_contrast: float = setting(10.0, "standard deviation of grey levels, at least", bounds=(0.0, 128.0))
    min_sharpness: float = setting(
        25.0, "variance of the Laplacian of grey levels at 320 pixels width, at least", bounds=(0.0, None)
    )


def image_faults(images: Sequence[ImageArray], settings: ImageSettings) -> Iterator[str]:
    """What is wrong with the images of a camera, RGB (height, width, 3), for messages; nothing if there are none."""
    if not images:
        return
    height = images[0].shape[0]
    if height < settings.min_height:
        yield f"they are {height} pixels high, less than {settings.min_height}"
    greys = [_small_grey(image) for image in images]
    brightness = float(np.median([grey.mean() for grey in greys]))
    contrast = float(np.median([grey.std() for grey in greys]))
    sharpness = float(np.median([cv2.Laplacian(grey, cv2.CV_64F).var() for grey in greys]))
    if brightness < settings.min_brightness:
        yield f"they are too dark: mean grey level {brightness:.0f}"
    elif brightness > settings.max_brightness:
        yield f"they are overexposed: mean grey level {brightness:.0f}"
    elif contrast < settings.min_contrast:
        yield f"they have little contrast: {contrast:.0f} grey levels"
    elif sharpness < settings.min_sharpness:
        yield f"they are blurred: variance of the Laplacian {sharpness:.0f}"


def _small_grey(image: ImageArray) -> ImageArray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if grey.shape[1] > MAX_WIDTH:
        size = (MAX_WIDTH, round(grey.shape[0] * MAX_WIDTH / grey.shape[1]))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)
