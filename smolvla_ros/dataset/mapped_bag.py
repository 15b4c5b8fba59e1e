# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag whose messages are translated to those of this package by a mapping: to joint states of this robot, to vectors,
and video to images.

Points of a trajectory or chunk that are due after the next one has come are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from smolvla_ros.dataset.bag import Bag, RecordedMessage
from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping, JointTopic
from smolvla_ros.dataset.bag_topics import JOINT_STATE, BagTopics
from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.dataset.joint_topics import JOINT_TRAJECTORY, JointReader, translated
from smolvla_ros.dataset.vector_topics import VectorReader
from smolvla_ros.dataset.video_topics import VIDEO_TYPES, VideoDecoder
from smolvla_ros.robot import RobotSpec

IMAGE = "sensor_msgs/msg/Image"


class MappedBag(Bag):
    """A recording, opened with `with`; `topics` has the types of the translated messages."""

    def __init__(self, path: str | Path, robot: RobotSpec, mapping: BagMapping = OWN_TOPICS) -> None:
        super().__init__(path)
        self._robot = robot
        self._mapping = mapping
        self._joints: dict[str, JointReader] = {}
        self._vectors: dict[str, VectorReader] = {}
        self._videos: list[str] = []

    def __enter__(self) -> MappedBag:
        super().__enter__()
        try:
            for name in self._mapping.vectors:
                self._find_vector(name)
            recorded = dict(self.topics)
            for what, mapped in (("the state", self._mapping.state), ("the action", self._mapping.action)):
                self._find_joints(what, mapped, recorded)
        except BaseException:
            self.__exit__()
            raise
        self._videos = [topic for topic, kind in self.topics.items() if kind in VIDEO_TYPES]
        self.topics |= dict.fromkeys(self._joints, JOINT_STATE) | dict.fromkeys(self._videos, IMAGE)
        return self

    def sources(self) -> BagTopics:
        """The topics of the mapping; raises EpisodeError, BagError."""
        names = self._mapping
        found = BagTopics.find(self, self._robot, names.cameras, names.state.name, names.action.name)
        vectors = {name: self.require(source.topic) for name, source in names.vectors.items()}
        task = self.require(names.task) if names.task else found.task
        return replace(found, task=task, vectors=vectors)

    def vector_names(self) -> dict[str, tuple[str, ...]]:
        """The vectors of the mapping, and the names of their values; raises BagError."""
        return {
            name: self._vectors[self.require(source.topic)].names
            for name, source in self._mapping.vectors.items()
        }

    def messages(self, topics: Iterable[str]) -> Iterator[RecordedMessage]:
        """As of a Bag; points of a trajectory or chunk come when the next one has come."""
        wanted = set(topics)
        readers = [self._joints[topic].restarted() for topic in wanted if topic in self._joints]
        inputs = {topic for reader in readers for topic in reader.prefixes}
        videos = {
            topic: VideoDecoder(f"bag '{self.path}': {topic}") for topic in self._videos if topic in wanted
        }
        images = dict.fromkeys(videos, 0)
        others = wanted - self._joints.keys()
        waiting: dict[str, list[tuple[int, RecordedMessage]]] = {}
        for recorded in super().messages(others | inputs):
            topic = recorded.topic
            for reader in readers:
                if topic in reader.prefixes:
                    points = reader.read(recorded)
                    if not points and recorded.type != JOINT_TRAJECTORY:
                        continue  # a late chunk, or another arm is missing; an empty trajectory means a stop
                    begin_ns = points[0][0] if points else 0
                    yield from (
                        point for stamp_ns, point in waiting.pop(reader.topic, []) if stamp_ns < begin_ns
                    )
                    yield from (point for _, point in points[:1])
                    waiting[reader.topic] = points[1:]
            if topic in videos:
                if image := videos[topic].image(recorded.decode()):
                    yield translated(replace(recorded, ordinal=images[topic]), image)
                    images[topic] += 1
            elif topic in self._vectors and topic in others:
                yield self._vectors[topic].read(recorded)
            elif topic in others:
                yield recorded
        for rest in waiting.values():
            yield from (point for _, point in rest)

    def _find_joints(self, what: str, mapped: JointTopic, recorded: dict[str, str]) -> None:
        """`recorded`: the types of the topics in the bag."""
        if mapped.arms:
            topic = "/" + mapped.name.strip("/")
            prefixes = {self.require(name): prefix for prefix, name in mapped.arms.items()}
            self.topics[topic] = JOINT_STATE
            self.counts[topic] = min(self.counts[name] for name in prefixes)
        else:
            found = self.find(mapped.name)
            if found is None or (recorded[found] == JOINT_STATE and not mapped.joints):
                return
            topic, prefixes = found, {found: ""}
        if both := self._vectors.keys() & prefixes:
            raise EpisodeError(f"bag '{self.path}': {', '.join(both)} cannot be both {what} and a vector")
        reader = JointReader(str(self.path), topic, prefixes, mapped.joints, self._robot.joint_names)
        if reader != self._joints.setdefault(topic, reader):
            raise EpisodeError(
                f"bag '{self.path}': {topic} cannot be both state and action, with different joints"
            )
        reader.check_types(recorded, what)

    def _find_vector(self, name: str) -> None:
        source = self._mapping.vectors[name]
        topic = self.require(source.topic)
        where = f"bag '{self.path}': {topic} (vector '{name}')"
        self._vectors[topic] = VectorReader.of(where, self.topics[topic], source.names)
