# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random access to the images of LeRobot datasets, for training."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from smolvla_ros.arrays import ImageArray
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.video import VideoReader

OPEN_VIDEOS = 16
KEPT_EPISODES = 2  # of datasets whose images are in the parquet files: one is read as a whole


class FrameReader:
    """Reads single images; for one thread, as videos stay open."""

    def __init__(self, datasets: Sequence[LeRobotDataset]) -> None:
        self._datasets = datasets
        self._videos: OrderedDict[str, VideoReader] = OrderedDict()
        self._episodes: OrderedDict[tuple[int, int, str], list[ImageArray]] = OrderedDict()

    def read(self, dataset: int, episode: int, image_key: str, frame: int) -> ImageArray:
        """An RGB image; `dataset` counts in the given ones, `frame` in the episode. Raises DatasetError, VideoError."""
        source = self._datasets[dataset]
        place = source.video_of(episode, image_key)
        if place is None:
            key = (dataset, episode, image_key)
            if key not in self._episodes:
                self._episodes[key] = list(source.images(episode, image_key))
                if len(self._episodes) > KEPT_EPISODES * len(source.image_keys):
                    self._episodes.popitem(last=False)
            return self._episodes[key][frame]
        path, first = place
        name = str(path)
        if name not in self._videos:
            self._videos[name] = VideoReader(path, source.fps)
            if len(self._videos) > OPEN_VIDEOS:
                self._videos.popitem(last=False)[1].close()
        self._videos.move_to_end(name)
        return self._videos[name].frame(first + frame)
