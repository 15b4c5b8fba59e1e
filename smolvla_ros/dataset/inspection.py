# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What there is to judge in an episode, whether it is a rosbag or part of a LeRobot dataset.

Images are not kept: of each only whether it differs from the one before it. Positions are radians; where those of a
dataset cannot be converted (a joint in -100..100 without calibration), they are NaN.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from smolvla_ros.dataset.alignment import BagTopics
from smolvla_ros.dataset.bag import Bag, find_bags
from smolvla_ros.dataset.lerobot_format import INFO
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import CalibrationError, JointUnits
from smolvla_ros.wire import header_stamp_ns, joints_from_msg

Seconds = npt.NDArray[np.float64]
Radians = npt.NDArray[np.float64]
BLOCK = 16  # pictures are compared by the means of blocks of so many pixels, which the noise of a codec hardly touches
LARGEST_BLOCKS = 99.5  # percentile: an arm that moves a little changes few of them
# Of 255. On rendered scenes encoded with a whole picture every other frame, a picture twice gave up to 2.1 with h264,
# 2 to 9 with AV1, slow motion 3: of AV1's repetitions some go unseen, which is better than to see too many.
CODEC_NOISE = 2.5


@dataclass(frozen=True, eq=False)
class JointTrack:
    """Joint positions over time: (n,) s and (n, joints) rad."""

    times_s: Seconds
    positions_rad: Radians


@dataclass(frozen=True, eq=False)
class CameraTrack:
    """When a camera's images were taken, and which of them differ from the one before; the first one does."""

    rate_hz: float  # as stated
    times_s: Seconds  # (n,)
    changes: npt.NDArray[np.bool_]  # (n,)


@dataclass(frozen=True, eq=False)
class InspectedEpisode:
    """One episode. Times of all streams are of one clock, and begin near 0."""

    name: str
    rate_hz: float  # as stated
    has_capture_times: bool  # a LeRobot dataset stores a perfect grid in their place
    cameras: Mapping[str, CameraTrack]
    state: JointTrack
    action: JointTrack | None
    tasks: tuple[str, ...]


def inspect(path: Path, robot: RobotSpec, units: Sequence[JointUnits]) -> Iterator[InspectedEpisode]:
    """The episodes of a dataset folder, or of a bag or a folder of bags.

    Raises DatasetError, VideoError, BagError, EpisodeError or WireError on what cannot be read.
    """
    if (path / INFO).exists():
        dataset = LeRobotDataset.load(path)
        for episode in range(len(dataset.episodes)):
            yield _of_dataset(dataset, episode, units)
        return
    for folder in find_bags([path]):
        with Bag(folder) as bag:
            yield _of_bag(bag, robot)


def _of_dataset(dataset: LeRobotDataset, episode: int, units: Sequence[JointUnits]) -> InspectedEpisode:
    rows = dataset.frames(episode)
    times_s = rows.timestamp.astype(np.float64)
    return InspectedEpisode(
        f"episode {episode}",
        dataset.fps,
        False,
        {
            key: CameraTrack(dataset.fps, times_s, changes(dataset.images(episode, key)))
            for key in dataset.image_keys
        },
        JointTrack(times_s, _radians(rows.state, units)),
        JointTrack(times_s, _radians(rows.action, units)),
        tuple(dict.fromkeys(rows.tasks)),
    )


def _of_bag(bag: Bag, robot: RobotSpec) -> InspectedEpisode:
    has_action = bag.find("joint_commands") is not None
    sources = BagTopics.find(bag, robot, action="joint_commands" if has_action else "joint_states")
    motions = dict.fromkeys([sources.state, *([sources.action] if has_action else [])])
    stamps = {topic: array("q") for topic in (*sources.cameras.values(), *motions)}
    positions = {topic: array("d") for topic in motions}
    hashes = {topic: array("Q") for topic in sources.cameras.values()}
    tasks: dict[str, None] = {}
    for recorded in bag.messages({*stamps, *([sources.task] if sources.task else [])}):
        message, topic = recorded.decode(), recorded.topic
        if topic == sources.task:
            tasks[str(message.data)] = None
            continue
        stamps[topic].append(header_stamp_ns(message))
        if topic in hashes:
            hashes[topic].append(zlib.crc32(message.data))
        else:
            positions[topic].extend(joints_from_msg(message, robot.joint_names).positions_rad)
    start_ns = min((times[0] for times in stamps.values() if times), default=0)
    times_s = {topic: (np.array(times, np.int64) - start_ns) / NANOSECONDS for topic, times in stamps.items()}

    def motion(topic: str) -> JointTrack:
        return JointTrack(times_s[topic], np.array(positions[topic]).reshape(-1, len(robot.joints)))

    return InspectedEpisode(
        bag.name,
        robot.rate_hz,
        True,
        {
            name: CameraTrack(robot.camera(name).rate_hz, times_s[topic], _differs(hashes[topic]))
            for name, topic in sources.cameras.items()
        },
        motion(sources.state),
        motion(sources.action) if has_action else None,
        tuple(tasks),
    )


def _radians(values: npt.NDArray[np.float32], units: Sequence[JointUnits]) -> Radians:
    columns = []
    for index, joint in enumerate(units):
        try:
            columns.append(joint.lerobot_to_rad(values[:, index].astype(np.float64)))
        except CalibrationError:
            columns.append(np.full(len(values), np.nan))
    return np.stack(columns, axis=1)


def _differs(hashes: array[int]) -> npt.NDArray[np.bool_]:
    values = np.array(hashes, np.uint64)
    changes = np.ones(len(values), np.bool_)
    changes[1:] = values[1:] != values[:-1]
    return changes


def changes(images: Iterable[npt.NDArray[np.uint8]]) -> npt.NDArray[np.bool_]:
    """Which decoded pictures differ from the last one that was new, so that slow motion adds up; the first one does."""
    found: list[bool] = []
    last: npt.NDArray[np.float32] | None = None
    for image in images:
        height, width = (max(8, side // BLOCK) for side in image.shape[:2])
        blocks = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        is_new = last is None or float(np.percentile(np.abs(blocks - last), LARGEST_BLOCKS)) > CODEC_NOISE
        found.append(is_new)
        if is_new:
            last = blocks
    return np.array(found, np.bool_)
