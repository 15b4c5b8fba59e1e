# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read episodes for the checks: from a rosbag or a LeRobot dataset, as times, positions and repeated images.

Images are not kept, only whether each differs from the previous one. Positions are radians; values of a dataset that
cannot be converted (a joint in -100..100 without calibration) become NaN.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from smolvla_ros.arrays import BoolArray, Float32Array, FloatArray, ImageArray
from smolvla_ros.dataset.alignment import BagTopics
from smolvla_ros.dataset.bag import Bag, find_bags
from smolvla_ros.dataset.lerobot_format import INFO
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import CalibrationError, JointUnits
from smolvla_ros.wire import MissingJointsError, header_stamp_ns, joints_from_msg

Seconds = FloatArray
Radians = FloatArray
BLOCK = 16  # pixels; images are compared by the means of blocks, which the noise of a codec hardly changes
LARGEST_BLOCKS = 99.5  # percentile of the differences: a small motion of the arm changes few blocks
# Grey levels. Measured on rendered scenes with a key frame every other frame: repeated images differ by up to 2.1 with
# h264 and by 2 to 9 with AV1, slow motion by 3. Some repetitions in AV1 are missed; a lower limit would report motion.
CODEC_NOISE = 2.5


@dataclass(frozen=True, eq=False)
class JointTrack:
    """Joint positions over time: (n,) s and (n, joints) rad."""

    times_s: Seconds
    positions_rad: Radians


@dataclass(frozen=True, eq=False)
class CameraTrack:
    """The times of a camera's images, and which of them differ from the previous one (the first one does)."""

    rate_hz: float  # as configured
    times_s: Seconds  # (n,)
    is_new: BoolArray  # (n,)


@dataclass(frozen=True, eq=False)
class InspectedEpisode:
    """One episode. The times of all streams are of one clock and start near 0 s."""

    name: str
    rate_hz: float  # as configured
    has_capture_times: bool  # False for a LeRobot dataset, which stores k / fps instead
    cameras: Mapping[str, CameraTrack]
    state: JointTrack
    action: JointTrack | None
    tasks: tuple[str, ...]


def read_episodes(path: Path, robot: RobotSpec, units: Sequence[JointUnits]) -> Iterator[InspectedEpisode]:
    """The episodes of a dataset folder, a bag or a folder of bags; raises DataError, WireError."""
    if (path / INFO).exists():
        dataset = LeRobotDataset.load(path)
        for episode in range(len(dataset.episodes)):
            yield _from_dataset(dataset, episode, units)
        return
    for folder in find_bags([path]):
        with Bag(folder) as bag:
            yield _from_bag(bag, robot)


def _from_dataset(dataset: LeRobotDataset, episode: int, units: Sequence[JointUnits]) -> InspectedEpisode:
    rows = dataset.frames(episode)
    times_s = rows.timestamp.astype(np.float64)
    return InspectedEpisode(
        f"episode {episode}",
        dataset.fps,
        False,
        {
            key: CameraTrack(dataset.fps, times_s, find_new_images(dataset.images(episode, key)))
            for key in dataset.image_keys
        },
        JointTrack(times_s, _radians(rows.state, units)),
        JointTrack(times_s, _radians(rows.action, units)),
        tuple(dict.fromkeys(rows.tasks)),
    )


def _from_bag(bag: Bag, robot: RobotSpec) -> InspectedEpisode:
    has_action = bag.find("joint_commands") is not None
    sources = BagTopics.find(bag, robot, action="joint_commands" if has_action else "joint_states")
    joint_topics = dict.fromkeys([sources.state, *([sources.action] if has_action else [])])
    stamps = {topic: array("q") for topic in (*sources.cameras.values(), *joint_topics)}
    positions = {topic: array("d") for topic in joint_topics}
    hashes = {topic: array("Q") for topic in sources.cameras.values()}
    tasks: dict[str, None] = {}
    for recorded in bag.messages({*stamps, *([sources.task] if sources.task else [])}):
        message, topic = recorded.decode(), recorded.topic
        if topic == sources.task:
            tasks[str(message.data)] = None
            continue
        if topic in hashes:
            hashes[topic].append(zlib.crc32(message.data))
        else:
            try:
                positions[topic].extend(joints_from_msg(message, robot.joint_names).positions_rad)
            except MissingJointsError:
                continue  # a servo did not answer
        stamps[topic].append(header_stamp_ns(message))
    start_ns = min((times[0] for times in stamps.values() if times), default=0)
    times_s = {topic: (np.array(times, np.int64) - start_ns) / NANOSECONDS for topic, times in stamps.items()}

    def track(topic: str) -> JointTrack:
        return JointTrack(times_s[topic], np.array(positions[topic]).reshape(-1, len(robot.joints)))

    return InspectedEpisode(
        bag.name,
        robot.rate_hz,
        True,
        {
            name: CameraTrack(robot.camera(name).rate_hz, times_s[topic], _find_changes(hashes[topic]))
            for name, topic in sources.cameras.items()
        },
        track(sources.state),
        track(sources.action) if has_action else None,
        tuple(tasks),
    )


def _radians(values: Float32Array, units: Sequence[JointUnits]) -> Radians:
    columns = []
    for index, joint in enumerate(units):
        try:
            columns.append(joint.lerobot_to_rad(values[:, index].astype(np.float64)))
        except CalibrationError:
            columns.append(np.full(len(values), np.nan))
    return np.stack(columns, axis=1)


def _find_changes(hashes: array[int]) -> BoolArray:
    values = np.array(hashes, np.uint64)
    is_new = np.ones(len(values), np.bool_)
    is_new[1:] = values[1:] != values[:-1]
    return is_new


def find_new_images(images: Iterable[ImageArray]) -> BoolArray:
    """Which decoded images (height, width, 3) differ from the last new one, so that slow motion adds up.

    The first image is new.
    """
    is_new: list[bool] = []
    last: Float32Array | None = None
    for image in images:
        height, width = (max(8, side // BLOCK) for side in image.shape[:2])
        blocks = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        is_new.append(
            last is None or float(np.percentile(np.abs(blocks - last), LARGEST_BLOCKS)) > CODEC_NOISE
        )
        if is_new[-1]:
            last = blocks
    return np.array(is_new, np.bool_)
