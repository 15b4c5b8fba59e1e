# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small pictures and videos of an episode, all cameras on one time: seconds since the episode began."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from smolvla_ros.arrays import FloatArray, ImageArray
from smolvla_ros.dataset.errors import DataError
from smolvla_ros.dataset.inspection import InspectedEpisode
from smolvla_ros.dataset.video import encode_preview
from smolvla_ros.image import encode_jpeg
from smolvla_ros.viewer.page_files import PageFiles

VIDEO_HEIGHT = 240  # pixels
VIDEO_HZ = 15
THUMBNAIL_HEIGHT = 72


def thumbnail(episode: InspectedEpisode, moment_s: float) -> bytes | None:
    """What all cameras see at this moment, side by side, as a JPEG; None if nothing can be shown."""
    pictures = [
        scaled(image, THUMBNAIL_HEIGHT)
        for camera in episode.cameras
        if (image := _image_at(episode, camera, moment_s)) is not None
    ]
    return encode_jpeg(np.hstack(pictures)) if pictures else None


def camera_video(episode: InspectedEpisode, camera: str, files: PageFiles) -> dict[str, Any] | None:
    """The address `src` of a camera's video and the time `from_s` in it at which the episode begins.

    The video of the dataset where the page can use it, else a small one; None if there are no images.
    """
    images = episode.images
    if images is None:
        return None
    try:
        place = images.video(camera)
        if place and place[0].is_file() and (address := files.link(place[0])):
            return {"src": address, "from_s": place[1]}
        frames = on_grid(images.read(camera), episode.cameras[camera].times_s, VIDEO_HZ)
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "video.mp4"
            encode_preview(video, (scaled(frame, VIDEO_HEIGHT) for frame in frames), VIDEO_HZ)
            return {"src": files.add(video.read_bytes(), ".mp4"), "from_s": 0.0}
    except DataError:  # the findings tell what is wrong with these images
        return None


def on_grid(images: Iterable[ImageArray | None], times_s: FloatArray, rate_hz: float) -> Iterator[ImageArray]:
    """The image that is the newest one at each time k / rate_hz, before the first one the first one.

    `times_s`: of the images, ascending. None, an image that is damaged, repeats the previous one.
    """
    shown: ImageArray | None = None
    done = 0
    for image, end_s in zip(images, np.append(times_s[1:], times_s[-1:] + 1 / rate_hz)):
        shown = shown if image is None else image
        while shown is not None and done / rate_hz < end_s:
            yield shown
            done += 1


def scaled(image: ImageArray, height: int) -> ImageArray:
    """An image of this height, which is even, and an even width: as videos need it."""
    width = max(2, 2 * round(image.shape[1] * height / image.shape[0] / 2))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _image_at(episode: InspectedEpisode, camera: str, moment_s: float) -> ImageArray | None:
    """The newest image at this moment; None if it cannot be read."""
    if episode.images is None:
        return None
    index = int(np.searchsorted(episode.cameras[camera].times_s, moment_s, side="right")) - 1
    try:
        return next(episode.images.read(camera, max(0, index)), None)
    except DataError:
        return None
