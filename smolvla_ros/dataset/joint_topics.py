# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Translate messages with joint positions, of one topic or of several arms, to joint states of this robot.

A message without a header is stamped with the time of its arrival. Trajectories and chunks hold positions for several
times, each of which becomes one joint state. Of a trajectory, points are later than the first one by the difference of
their time_from_start. Of an ActionChunk, the first one is the action that was due when it was published, and those that
are past or come after it expires are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from smolvla_ros.chunk import ChunkError
from smolvla_ros.dataset.bag import RecordedMessage
from smolvla_ros.dataset.bag_mapping import JointSource
from smolvla_ros.dataset.bag_topics import JOINT_STATE
from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.wire import chunk_from_msg, header_stamp_ns, nanoseconds

JOINT_TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
ACTION_CHUNK = "smolvla_ros/msg/ActionChunk"
ARRAYS = ("std_msgs/msg/Float64MultiArray", "std_msgs/msg/Float32MultiArray")


@dataclass(frozen=True)
class _Point:
    """Values at one time, by the name of their joint or their place in an array."""

    stamp_ns: int
    receive_ns: int
    values: Mapping[str | int, float]


@dataclass
class JointReader:
    """Translates the messages of some topics to joint states of this robot on `topic`.

    Of several topics, a joint state comes when each has sent a new message since the last one: it has the newest values
    of each and the latest of their stamps, so none is from its future, and an arm that falls silent ends all.
    """

    bag: str
    topic: str
    prefixes: Mapping[str, str]  # topic in the bag -> what is put before the names of its joints
    joints: tuple[JointSource, ...]  # empty: named as the robot's, in rad
    joint_names: tuple[str, ...]
    _was_read: bool = field(default=False, init=False, compare=False)
    _newest: dict[str, tuple[_Point, ...]] = field(default_factory=dict, init=False, compare=False)

    def restarted(self) -> JointReader:
        """A reader for the same messages from the first one on."""
        return replace(self)

    def check_types(self, kinds: Mapping[str, str], what: str) -> None:
        """Raise EpisodeError if positions cannot be read from topics of these types."""
        known = (JOINT_STATE, *ARRAYS) + (() if len(self.prefixes) > 1 else (JOINT_TRAJECTORY, ACTION_CHUNK))
        for topic in self.prefixes:
            where = f"bag '{self.bag}': {topic} ({what}) is a {kinds[topic]}"
            if kinds[topic] not in known:
                raise EpisodeError(f"{where}, not a {' or '.join(known)}; name or record another topic")
            if kinds[topic] in ARRAYS and not self.joints:
                raise EpisodeError(
                    f"{where}, without names of joints. Say which value is which joint: bag_to_lerobot {self.bag} "
                    "--suggest-map map.yaml, complete the file, then add --map map.yaml"
                )

    def read(self, recorded: RecordedMessage) -> list[tuple[int, RecordedMessage]]:
        """The stamps and joint states of a message, often one; raises BagError, EpisodeError."""
        points = self._points(recorded)
        if len(self.prefixes) > 1:
            self._newest[recorded.topic] = points
            if len(self._newest) < len(self.prefixes):
                return []
            points = (_joined([newest[0] for newest in self._newest.values()]),)
            self._newest.clear()
        return [(point.stamp_ns, self._joint_state(recorded, point)) for point in points]

    def _points(self, recorded: RecordedMessage) -> tuple[_Point, ...]:
        message, receive_ns = recorded.decode(), recorded.receive_ns
        if recorded.type == ACTION_CHUNK:
            try:
                return _chunk_points(message, receive_ns)
            except ChunkError as error:
                raise EpisodeError(f"bag '{self.bag}': {self.topic}: {error}") from error
            except AttributeError as error:
                raise EpisodeError(
                    f"bag '{self.bag}': {self.topic}: its chunks are of another version of {ACTION_CHUNK}: {error}"
                ) from error
        if recorded.type == JOINT_TRAJECTORY:
            return _trajectory_points(message, receive_ns)
        stamp_ns = header_stamp_ns(message) if recorded.type == JOINT_STATE else receive_ns
        if recorded.type == JOINT_STATE:
            values = _named(message.name, message.position)
        else:
            values = dict(enumerate(map(float, message.data)))
        if prefix := self.prefixes[recorded.topic]:
            values = {f"{prefix}{name}": value for name, value in values.items()}
        return (_Point(stamp_ns, receive_ns, values),)

    def _joint_state(self, recorded: RecordedMessage, point: _Point) -> RecordedMessage:
        joints = self.joints or tuple(JointSource(name) for name in self.joint_names)
        missing = [str(joint.source) for joint in joints if joint.source not in point.values]
        if missing and not self._was_read:
            raise EpisodeError(
                f"bag '{self.bag}': {self.topic} has no joint {', '.join(missing)}; it has "
                f"{', '.join(map(str, point.values))}. Name them in the file of --map"
            )
        self._was_read = True
        positions_rad = {
            name: joint.scale * point.values[joint.source] + joint.offset_rad
            for name, joint in zip(self.joint_names, joints, strict=True)
            if joint.source in point.values  # else a servo did not answer
        }
        # what `wire.joints_from_msg` reads of a sensor_msgs/JointState
        message = SimpleNamespace(
            header=header(point.stamp_ns),
            name=list(positions_rad),
            position=list(positions_rad.values()),
            velocity=[],
            effort=[],
        )
        return translated(replace(recorded, topic=self.topic, receive_ns=point.receive_ns), message)


def translated(recorded: RecordedMessage, message: Any) -> RecordedMessage:
    """A message of a bag that is decoded as `message`."""
    return replace(recorded, _decode=lambda *_: message)


def header(stamp_ns: int) -> Any:
    """The part of a std_msgs/Header that this package reads."""
    sec, nanosec = divmod(stamp_ns, NANOSECONDS)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))


def _named(names: Iterable[Any], values: Iterable[Any]) -> dict[str | int, float]:
    return dict(zip(map(str, names), map(float, values), strict=False))


def _joined(points: Sequence[_Point]) -> _Point:
    values = {name: value for point in points for name, value in point.values.items()}
    return _Point(max(point.stamp_ns for point in points), max(point.receive_ns for point in points), values)


def _trajectory_points(message: Any, receive_ns: int) -> tuple[_Point, ...]:
    stamp_ns = header_stamp_ns(message) or receive_ns  # 0: it begins when it arrives
    delays_ns = [nanoseconds(point.time_from_start) for point in message.points]
    return tuple(
        _Point(
            stamp_ns + delay_ns - delays_ns[0],
            receive_ns + delay_ns - delays_ns[0],
            _named(message.joint_names, point.positions),
        )
        for delay_ns, point in zip(delays_ns, message.points, strict=True)
    )


def _chunk_points(message: Any, receive_ns: int) -> tuple[_Point, ...]:
    chunk, published_ns = chunk_from_msg(message), header_stamp_ns(message) or receive_ns
    times_ns = chunk.times_ns.tolist()
    ends_ns = [*times_ns[1:], times_ns[-1] + chunk.step_duration_ns]
    return tuple(
        _Point(
            max(due_ns, published_ns),
            receive_ns + max(due_ns - published_ns, 0),
            _named(chunk.joint_names, row),
        )
        for due_ns, end_ns, row in zip(times_ns, ends_ns, chunk.positions, strict=True)
        if end_ns > published_ns and not 0 < chunk.expires_ns < due_ns
    )
