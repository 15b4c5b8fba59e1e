# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random changes of images, so that a policy depends less on light, colour and the exact place of a camera.

Kinds, ranges and their number are LeRobot's (0.6.1, transforms/transforms.py): up to three of six, in a fixed order.
"""

from __future__ import annotations

import cv2
import numpy as np

from smolvla_ros.arrays import Float32Array, ImageArray

MOST = 3  # changes of one image
FACTORS = {
    "brightness": (0.8, 1.2),
    "contrast": (0.8, 1.2),
    "saturation": (0.5, 1.5),
    "sharpness": (0.5, 1.5),
}
HUE = 0.05  # of a turn of the colour circle
ROTATION_DEG, TRANSLATION = 5.0, 0.05  # translation of width and height
KINDS = ("brightness", "contrast", "saturation", "hue", "sharpness", "affine")


def augment(image: ImageArray, random: np.random.Generator) -> ImageArray:
    """An RGB image with one to three random changes."""
    count = int(random.integers(1, MOST + 1))
    chosen = set(random.choice(len(KINDS), size=count, replace=False).tolist())
    for kind in (kind for index, kind in enumerate(KINDS) if index in chosen):
        if kind == "affine":
            image = _moved(image, random)
        elif kind == "hue":
            image = _turned(image, float(random.uniform(-HUE, HUE)))
        else:
            image = _scaled(image, kind, float(random.uniform(*FACTORS[kind])))
    return image


def _scaled(image: ImageArray, kind: str, factor: float) -> ImageArray:
    """The image moved away from black, its mean grey, its own greys or its smoothed form, or towards it."""
    wide = image.astype(np.float32)
    if kind == "brightness":
        origin: Float32Array | float = 0.0
    elif kind == "contrast":
        origin = float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean())
    elif kind == "saturation":
        origin = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None].astype(np.float32)
    else:
        origin = cv2.blur(wide, (3, 3)).astype(np.float32)
    return np.clip(origin + factor * (wide - origin), 0, 255).astype(np.uint8)


def _turned(image: ImageArray, turn: float) -> ImageArray:
    hsv = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), np.uint8)
    hsv[:, :, 0] += np.uint8(round(turn * 256) % 256)  # wraps around
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def _moved(image: ImageArray, random: np.random.Generator) -> ImageArray:
    height, width = image.shape[:2]
    angle = float(random.uniform(-ROTATION_DEG, ROTATION_DEG))
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0), np.float64)
    matrix[:, 2] += random.uniform(-TRANSLATION, TRANSLATION, 2) * (width, height)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height)), np.uint8)
