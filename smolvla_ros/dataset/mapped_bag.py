# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag whose messages are translated to those of this package: joint states of this robot by a mapping, video to
images.

Positions are read from JointState, JointTrajectory and arrays of numbers. A message without a header is stamped with
the time of its arrival. Each point of a trajectory is one message, later than the first point by the difference of
their time_from_start; points that are due after the next trajectory has come are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from smolvla_ros.dataset.alignment import JOINT_STATE, BagTopics
from smolvla_ros.dataset.bag import Bag, RecordedMessage
from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping, JointSource
from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.dataset.video_topics import VIDEO_TYPES, VideoDecoder
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import RobotSpec
from smolvla_ros.wire import header_stamp_ns, nanoseconds

IMAGE = "sensor_msgs/msg/Image"
JOINT_TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
ARRAYS = ("std_msgs/msg/Float64MultiArray", "std_msgs/msg/Float32MultiArray")


class MappedBag(Bag):
    """A recording, opened with `with`; `topics` has the types of the translated messages."""

    def __init__(self, path: str | Path, robot: RobotSpec, mapping: BagMapping = OWN_TOPICS) -> None:
        super().__init__(path)
        self._robot = robot
        self._mapping = mapping
        self._readers_of: dict[str, _JointReader] = {}
        self._videos: list[str] = []

    def __enter__(self) -> MappedBag:
        super().__enter__()
        try:
            self._find_readers()
        except BaseException:
            self.__exit__()
            raise
        self._videos = [topic for topic, kind in self.topics.items() if kind in VIDEO_TYPES]
        self.topics |= dict.fromkeys(self._readers_of, JOINT_STATE) | dict.fromkeys(self._videos, IMAGE)
        return self

    def sources(self) -> BagTopics:
        """The topics of the mapping; raises EpisodeError, BagError."""
        names = self._mapping
        found = BagTopics.find(self, self._robot, names.cameras, names.state.name, names.action.name)
        return replace(found, task=self.require(names.task)) if names.task else found

    def messages(self, topics: Iterable[str]) -> Iterator[RecordedMessage]:
        """As of a Bag; points of a trajectory come when the next one has come."""
        waiting: dict[str, list[tuple[int, RecordedMessage]]] = {}
        videos = {topic: VideoDecoder(f"bag '{self.path}': {topic}") for topic in self._videos}
        images = dict.fromkeys(videos, 0)
        for recorded in super().messages(topics):
            topic = recorded.topic
            if topic in videos:
                if image := videos[topic].image(recorded.decode()):
                    yield _decoded(replace(recorded, ordinal=images[topic]), image)
                    images[topic] += 1
                continue
            reader = self._readers_of.get(topic)
            if reader is None:
                yield recorded
                continue
            translated = reader.read(recorded)
            begin_ns = translated[0][0] if translated else 0
            yield from (point for stamp_ns, point in waiting.pop(topic, []) if stamp_ns < begin_ns)
            yield from (point for _, point in translated[:1])
            waiting[topic] = translated[1:]
        for points in waiting.values():
            yield from (point for _, point in points)

    def _find_readers(self) -> None:
        for what, mapped in (("the state", self._mapping.state), ("the action", self._mapping.action)):
            topic = self.find(mapped.name)
            if topic is None or (self.topics[topic] == JOINT_STATE and not mapped.joints):
                continue
            reader = _JointReader(str(self.path), topic, mapped.joints, self._robot.joint_names)
            if reader != self._readers_of.setdefault(topic, reader):
                raise EpisodeError(
                    f"bag '{self.path}': {topic} cannot be both state and action, with different joints"
                )
            reader.check_type(self.topics[topic], what)


@dataclass
class _JointReader:
    """Translates the messages of one topic to joint states of this robot."""

    bag: str
    topic: str
    joints: tuple[JointSource, ...]
    joint_names: tuple[str, ...]
    was_read: bool = field(default=False, compare=False)

    def check_type(self, kind: str, what: str) -> None:
        """Raise EpisodeError if positions cannot be read from messages of this type."""
        where = f"bag '{self.bag}': {self.topic} ({what}) is a {kind}"
        if kind not in (JOINT_STATE, JOINT_TRAJECTORY, *ARRAYS):
            known = f"{JOINT_STATE}, {JOINT_TRAJECTORY}, {' or '.join(ARRAYS)}"
            raise EpisodeError(f"{where}, not a {known}; name or record another topic")
        if kind in ARRAYS and not self.joints:
            raise EpisodeError(
                f"{where}, without names of joints. Say which value is which joint: bag_to_lerobot {self.bag} "
                "--suggest-map map.yaml, complete the file, then add --map map.yaml"
            )

    def read(self, recorded: RecordedMessage) -> list[tuple[int, RecordedMessage]]:
        """The stamp and the translation of each point of a message; raises BagError, EpisodeError."""
        message = recorded.decode()
        stamp_ns = header_stamp_ns(message) if hasattr(message, "header") else recorded.receive_ns
        if recorded.type != JOINT_TRAJECTORY:
            names = message.name if recorded.type == JOINT_STATE else range(len(message.data))
            values = message.position if recorded.type == JOINT_STATE else message.data
            return [self._translated(recorded, stamp_ns, 0, names, values)]
        stamp_ns = stamp_ns or recorded.receive_ns  # 0: it begins when it arrives
        delays_ns = [nanoseconds(point.time_from_start) for point in message.points]
        return [
            self._translated(
                recorded, stamp_ns, delay_ns - delays_ns[0], message.joint_names, point.positions
            )
            for delay_ns, point in zip(delays_ns, message.points, strict=True)
        ]

    def _translated(
        self, recorded: RecordedMessage, stamp_ns: int, delay_ns: int, names: Iterable[Any], values: Any
    ) -> tuple[int, RecordedMessage]:
        found = dict(zip(map(_key, names), values, strict=False))
        joints = self.joints or tuple(JointSource(name) for name in self.joint_names)
        missing = [str(joint.source) for joint in joints if joint.source not in found]
        if missing and not self.was_read:
            raise EpisodeError(
                f"bag '{self.bag}': {self.topic} has no joint {', '.join(missing)}; it has "
                f"{', '.join(map(str, found))}. Name them in the file of --map"
            )
        self.was_read = True
        positions = {
            name: joint.scale * float(found[joint.source]) + joint.offset_rad
            for name, joint in zip(self.joint_names, joints, strict=True)
            if joint.source in found  # else a servo did not answer
        }
        message = _joint_state(stamp_ns + delay_ns, positions)
        later = replace(recorded, receive_ns=recorded.receive_ns + delay_ns)
        return stamp_ns + delay_ns, _decoded(later, message)


def _decoded(recorded: RecordedMessage, message: Any) -> RecordedMessage:
    return replace(recorded, _decode=lambda *_: message)


def _key(name: Any) -> str | int:
    return name if isinstance(name, int) else str(name)


def _joint_state(stamp_ns: int, positions_rad: Mapping[str, float]) -> Any:
    """What `wire.joints_from_msg` reads of a sensor_msgs/JointState."""
    sec, nanosec = divmod(stamp_ns, NANOSECONDS)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec)),
        name=list(positions_rad),
        position=list(positions_rad.values()),
        velocity=[],
        effort=[],
    )
