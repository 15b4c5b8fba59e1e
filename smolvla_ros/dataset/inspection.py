# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read episodes for the checks, from a rosbag or a LeRobot dataset: times, positions, and what was seen in the images.

Times are sorted, as by the converter. Positions are radians; values of a dataset that cannot be converted (a joint in
-100..100 without calibration) become NaN.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from smolvla_ros.arrays import BoolArray, Float32Array, FloatArray, IntArray
from smolvla_ros.dataset.alignment import Clock
from smolvla_ros.dataset.bag import Bag, RecordedMessage, find_bags, last_name
from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping
from smolvla_ros.dataset.clocks import ClockComparison
from smolvla_ros.dataset.episode_images import BagImages, DatasetImages
from smolvla_ros.dataset.errors import DataError, DatasetError, VideoError
from smolvla_ros.dataset.executor_record import ExecutorMessages, ExecutorRecord
from smolvla_ros.dataset.image_inspection import ImageInspector
from smolvla_ros.dataset.lerobot_format import ACTION, INFO, STATE
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.mapped_bag import MappedBag
from smolvla_ros.dataset.video import key_frames
from smolvla_ros.image import ImageError
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import CalibrationError, JointUnits
from smolvla_ros.wire import MissingJointsError, WireError, frame_from_msg, header_stamp_ns, joints_from_msg

Begin = Callable[[Callable[[], "InspectedEpisode"]], Callable[[], "InspectedEpisode"]]
Seconds = FloatArray
Radians = FloatArray


@dataclass(frozen=True, eq=False)
class JointTrack:
    """Joint positions over time: (n,) s and (n, joints) rad."""

    times_s: Seconds
    positions_rad: Radians


@dataclass(frozen=True, eq=False)
class CameraTrack:
    """The times of n images of a camera, and what was seen in them."""

    rate_hz: float  # as configured
    times_s: Seconds  # (n,)
    is_new: BoolArray  # (n,) whether it differs from the previous one; the first one does
    black: int = 0  # images
    damage: tuple[str, ...] = ()  # what is wrong with images that cannot be decoded
    mean_image: Float32Array | None = None  # (12, 16, 3) grey levels; None if no image could be decoded
    first_fault_s: float | None = None  # when the first image was taken that is black or cannot be decoded

    @classmethod
    def of(cls, rate_hz: float, times_s: Seconds, is_new: BoolArray, images: ImageInspector) -> CameraTrack:
        """The images that were looked at, in order of arrival, and their times."""
        fault = images.first_fault
        return cls(
            rate_hz,
            times_s,
            is_new,
            images.black,
            tuple(images.damage),
            images.mean_image,
            None if fault is None or fault >= len(times_s) else float(times_s[fault]),
        )


@dataclass(frozen=True)
class StampFaults:
    """Header stamps of a stream that are empty or in another order than their messages."""

    messages: int
    empty: int = 0
    decrease_s: float = 0.0  # the most by which a message is stamped before one that arrived earlier


@dataclass(frozen=True, eq=False)
class InspectedEpisode:
    """One episode. The times of all streams are of one clock, ascending, and start near 0 s."""

    name: str
    rate_hz: float  # as configured
    has_capture_times: bool  # False for a LeRobot dataset, which stores k / fps instead
    cameras: Mapping[str, CameraTrack]
    state: JointTrack
    action: JointTrack | None
    tasks: tuple[str, ...]
    stamps: Mapping[str, StampFaults] = field(default_factory=dict)  # by topic, of a bag
    clocks: ClockComparison = ClockComparison({}, {})  # of a bag
    outcome: str = ""  # success or failure, as it was marked
    images: DatasetImages | BagImages | None = None  # reads the images again
    executor: ExecutorRecord = ExecutorRecord()  # of a bag


def read_episodes(
    path: Path,
    robot: RobotSpec,
    units: Sequence[JointUnits],
    mapping: BagMapping = OWN_TOPICS,
    clock: Clock = "header",
    damaged: dict[str, Exception] | None = None,
    begin: Begin | None = None,
) -> Iterator[InspectedEpisode]:
    """The episodes of a dataset folder, a bag or a folder of bags; raises DataError, WireError.

    `mapping` and `clock`: how bags are read. `damaged`: if it is given, those errors of an episode are not raised, but
    put there: name of the episode -> error. `begin`: starts what reads an episode, in another process or not, and
    returns what waits for it; all episodes are started before the first is waited for.
    """
    readers = _readers(path, robot, units, mapping, clock)
    if begin:
        readers = iter([(name, begin(read), images) for name, read, images in readers])
    for name, read, images in readers:
        try:
            episode = read()
            yield replace(episode, images=images) if images else episode
        except (DataError, WireError) as error:
            if damaged is None:
                raise
            damaged[name] = error


def episode_name(number: int) -> str:
    """The name of an episode of a dataset."""
    return f"episode {number}"


def _readers(
    path: Path, robot: RobotSpec, units: Sequence[JointUnits], mapping: BagMapping, clock: Clock
) -> Iterator[tuple[str, Callable[[], InspectedEpisode], DatasetImages | None]]:
    """Name and reader of each episode, which can be sent to other processes, and images that the reader leaves out."""
    if (path / INFO).exists():
        reading = uuid4().hex
        dataset = _loaded(path, reading)
        for episode in range(len(dataset.episodes)):
            read = partial(_from_dataset, path, reading, episode, units)
            yield episode_name(episode), read, DatasetImages(dataset, episode)
    else:
        for folder in find_bags([path]):
            name = last_name(folder) if folder == path else str(folder.relative_to(path))
            yield name, partial(_from_bag, folder, name, robot, mapping, clock), None


@lru_cache(1)
def _loaded(path: Path, _reading: str) -> LeRobotDataset:
    """A dataset, loaded once in each process for each reading of all its episodes."""
    return LeRobotDataset.load(path)


def _from_dataset(path: Path, reading: str, episode: int, units: Sequence[JointUnits]) -> InspectedEpisode:
    dataset = _loaded(path, reading)
    rows = dataset.frames(episode)
    widths = [values.shape[-1] for values in (rows.state, rows.action)]
    if min(widths) < len(units):
        raise DatasetError(
            f"dataset '{dataset.root}' has {widths[0]} values of {STATE} and {widths[1]} of {ACTION}, the robot has "
            f"{len(units)} joints; give the file of the robot that it was recorded with: --robot"
        )
    times_s = rows.timestamp.astype(np.float64)
    return InspectedEpisode(
        episode_name(episode),
        dataset.fps,
        False,
        {key: _dataset_camera(dataset, episode, key, times_s) for key in dataset.image_keys},
        JointTrack(times_s, _radians(rows.state, units)),
        JointTrack(times_s, _radians(rows.action, units)),
        tuple(dict.fromkeys(rows.tasks)),
        outcome=dataset.outcomes[episode],
    )


def _dataset_camera(dataset: LeRobotDataset, episode: int, key: str, times_s: Seconds) -> CameraTrack:
    images = ImageInspector()
    keys: set[int] = set()
    try:
        if place := dataset.video_of(episode, key):
            keys = key_frames(*place, len(times_s), dataset.fps)
        for image in dataset.images(episode, key):
            images.add(image)
    except (VideoError, DatasetError) as error:
        images.add_damaged(str(error))
    is_new = np.ones(len(times_s), np.bool_)
    found = images.is_new(keys)[: len(times_s)]
    is_new[: len(found)] = found
    return CameraTrack.of(dataset.fps, times_s, is_new, images)


@dataclass(eq=False)
class _Stream:
    """The messages of one topic in order of arrival."""

    stamps: array[int] = field(default_factory=lambda: array("q"))
    arrivals: array[int] = field(default_factory=lambda: array("q"))
    positions: array[float] = field(default_factory=lambda: array("d"))
    images: ImageInspector = field(default_factory=ImageInspector)
    last_bytes: int = -1  # checksum of the last image's bytes

    def add(self, recorded: RecordedMessage, message: Any) -> None:
        self.stamps.append(header_stamp_ns(message))
        self.arrivals.append(recorded.receive_ns)

    def add_image(self, message: Any) -> None:
        try:
            checksum = zlib.crc32(message.data)
            if checksum == self.last_bytes:
                self.images.add_same()
                return
            self.last_bytes = checksum
            self.images.add(frame_from_msg(message, "").image)
        except ImageError as error:
            self.images.add_damaged(str(error))

    def faults(self) -> StampFaults:
        stamps = np.array(self.stamps, np.int64)
        decrease_ns = int((np.maximum.accumulate(stamps) - stamps).max(initial=0))
        empty = int((stamps <= 0).sum())
        return StampFaults(len(stamps), empty, 0.0 if empty else decrease_ns / NANOSECONDS)

    def times(self) -> tuple[IntArray, IntArray]:
        """Stamps and times of arrival, ns."""
        return np.array(self.stamps, np.int64), np.array(self.arrivals, np.int64)

    def ordered(self, clock: Clock, ahead_ns: int) -> tuple[IntArray, IntArray]:
        """The times in ns, ascending, and the numbers of their messages. `ahead_ns`: of them."""
        times = np.array(self.stamps if clock == "header" else self.arrivals, np.int64)
        order = np.argsort(times, kind="stable")
        return times[order] - ahead_ns, order


def _from_bag(path: Path, name: str, robot: RobotSpec, mapping: BagMapping, clock: Clock) -> InspectedEpisode:
    with Bag(path) as bag:
        has_action = mapping.action != OWN_TOPICS.action or bag.find(mapping.action.name) is not None
    if not has_action:
        mapping = replace(mapping, action=mapping.state)
    with MappedBag(path, robot, mapping) as mapped:
        found = _inspect(mapped, robot, has_action, clock)
    return replace(found, name=name, images=BagImages(path, robot, mapping))


def _inspect(bag: MappedBag, robot: RobotSpec, has_action: bool, clock: Clock) -> InspectedEpisode:
    sources = bag.sources()
    streams = {topic: _Stream() for topic in (*sources.cameras.values(), sources.state, sources.action)}
    tasks: dict[str, None] = {}
    executor = ExecutorMessages.find(bag, robot.joint_names)
    for recorded in bag.messages({*streams, *([sources.task] if sources.task else []), *executor.topics}):
        topic = recorded.topic
        if topic in executor.topics:
            executor.add(recorded)
            continue
        message = recorded.decode()
        if topic == sources.task:
            tasks[str(message.data)] = None
            continue
        stream = streams[topic]
        if topic in sources.cameras.values():
            stream.add_image(message)
        else:
            try:
                stream.positions.extend(joints_from_msg(message, robot.joint_names).positions_rad)
            except MissingJointsError:
                continue  # a servo did not answer
        stream.add(recorded, message)
    faults = {topic: stream.faults() for topic, stream in streams.items()}
    if any(found.empty for found in faults.values()):
        clock = "receive"
    compared = streams if clock == "header" else {}
    clocks = ClockComparison.of({topic: stream.times() for topic, stream in compared.items()})
    ordered = {topic: stream.ordered(clock, clocks.ahead_ns(topic)) for topic, stream in streams.items()}
    start_ns = min((times[0] for times, _ in ordered.values() if len(times)), default=0)
    times_s = {topic: (times - start_ns) / NANOSECONDS for topic, (times, _) in ordered.items()}

    def joints(topic: str) -> JointTrack:
        positions = np.array(streams[topic].positions).reshape(-1, len(robot.joints))
        return JointTrack(times_s[topic], positions[ordered[topic][1]])

    def camera(name: str, topic: str) -> CameraTrack:
        images = streams[topic].images
        is_new = images.is_new()[ordered[topic][1]]
        return CameraTrack.of(robot.camera(name).rate_hz, times_s[topic], is_new, images)

    return InspectedEpisode(
        bag.name,
        robot.rate_hz,
        True,
        {name: camera(name, topic) for name, topic in sources.cameras.items()},
        joints(sources.state),
        joints(sources.action) if has_action else None,
        tuple(tasks),
        faults,
        clocks,
        bag.custom_data.get("outcome", ""),
        executor=executor.record(clocks.offset_ns, start_ns, clock == "receive"),
    )


def _radians(values: Float32Array, units: Sequence[JointUnits]) -> Radians:
    columns = []
    for index, joint in enumerate(units):
        try:
            columns.append(joint.lerobot_to_rad(values[:, index].astype(np.float64)))
        except CalibrationError:
            columns.append(np.full(len(values), np.nan))
    return np.stack(columns, axis=1)
