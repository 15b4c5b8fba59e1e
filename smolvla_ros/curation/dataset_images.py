# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Single images of a dataset: at equal distances over all of it or an episode, and as a picture for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smolvla_ros.arrays import ImageArray
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.frame_reader import FrameReader
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.image import encode_jpeg
from smolvla_ros.viewer.previews import scaled

THUMBNAIL_HEIGHT = 96
Place = tuple[int, int]  # episode, and frame in it


def spread_over_dataset(dataset: LeRobotDataset, count: int) -> list[Place]:
    """`count` frames at equal distances over all episodes; fewer if the dataset has fewer."""
    starts = [row["dataset_from_index"] for row in dataset.episodes]
    places = []
    for index in _spread(int(dataset.info["total_frames"]), count):
        episode = int(np.searchsorted(starts, index, side="right")) - 1
        places.append((episode, index - starts[episode]))
    return places


def spread_over_episode(dataset: LeRobotDataset, episode: int, count: int) -> list[Place]:
    """`count` frames at equal distances over an episode; fewer if it has fewer."""
    row = dataset.episodes[episode]
    return [(episode, frame) for frame in _spread(row["dataset_to_index"] - row["dataset_from_index"], count)]


def _spread(total: int, count: int) -> list[int]:
    count = min(count, total)
    return [int((number + 0.5) * total / count) for number in range(count)]


def images_at(dataset: LeRobotDataset, camera: str, places: Sequence[Place]) -> list[ImageArray]:
    """The RGB images of a camera (an image key without prefix); raises DatasetError, VideoError."""
    reader = FrameReader([dataset])
    return [reader.read(0, episode, camera, frame) for episode, frame in places]


def contact_sheet(
    dataset: LeRobotDataset, cameras: Sequence[str], places: Sequence[Place], height: int = THUMBNAIL_HEIGHT
) -> ImageArray:
    """The images of these cameras (rows) at these places (columns), each `height` pixels high.

    Raises DatasetError, VideoError.
    """
    if not places or not cameras:
        raise DatasetError(f"dataset '{dataset.root}' has no images to show")
    lines = [
        np.hstack([scaled(image, height) for image in images_at(dataset, camera, places)])
        for camera in cameras
    ]
    width = max(line.shape[1] for line in lines)
    return np.vstack([np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0))) for line in lines])


def thumbnails(dataset: LeRobotDataset, cameras: Sequence[str], places: Sequence[Place]) -> bytes:
    """The contact sheet as a JPEG."""
    return encode_jpeg(contact_sheet(dataset, cameras, places))
