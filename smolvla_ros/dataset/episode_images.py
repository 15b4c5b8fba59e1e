# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The images of one episode, of a LeRobot dataset or a bag: read from any one on, or where their video is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from smolvla_ros.arrays import ImageArray
from smolvla_ros.dataset.bag_mapping import BagMapping
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.mapped_bag import MappedBag
from smolvla_ros.image import ImageError
from smolvla_ros.robot import RobotSpec
from smolvla_ros.wire import frame_from_msg


@dataclass(frozen=True, eq=False)
class DatasetImages:
    """The images of an episode of a dataset."""

    dataset: LeRobotDataset
    episode: int

    def video(self, camera: str) -> tuple[Path, float] | None:
        """The mp4 file with the images, and the time of the first one in it, s; None if they are in no video."""
        place = self.dataset.video_of(self.episode, camera)
        return (place[0], place[1] / self.dataset.fps) if place else None

    def read(self, camera: str, begin: int = 0) -> Iterator[ImageArray]:
        """The RGB images (height, width, 3) from number `begin`; raises DataError."""
        return self.dataset.images(self.episode, camera, begin)


@dataclass(frozen=True, eq=False)
class BagImages:
    """The images of a bag, in order of arrival."""

    path: Path
    robot: RobotSpec
    mapping: BagMapping

    def video(self, camera: str) -> None:
        """None: a bag has no file that a browser plays."""

    def read(self, camera: str, begin: int = 0) -> Iterator[ImageArray | None]:
        """The RGB images (height, width, 3) from number `begin`, None for a damaged one; raises DataError."""
        with MappedBag(self.path, self.robot, self.mapping) as bag:
            topic = bag.sources().cameras[camera]
            for recorded in islice(bag.messages([topic]), begin, None):
                try:
                    yield frame_from_msg(recorded.decode(), camera).image
                except ImageError:
                    yield None
