# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The topics of a bag that make up an episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.robot import RobotSpec

JOINT_STATE = "sensor_msgs/msg/JointState"
IMAGES = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
TEXT = "std_msgs/msg/String"


@dataclass(frozen=True)
class BagTopics:
    """The topics of a bag that make up an episode."""

    cameras: Mapping[str, str]  # camera of the robot -> topic
    state: str
    action: str
    task: str | None
    vectors: Mapping[str, str] = field(default_factory=dict)  # name -> topic, of the mapping
    authority: str | None = None  # who commands the arm

    @classmethod
    def find(
        cls,
        bag: Bag,
        robot: RobotSpec,
        cameras: Mapping[str, str | None] | None = None,
        state: str = "joint_states",
        action: str = "joint_commands",
    ) -> BagTopics:
        """Find topics by this package's names, under any namespace; raises EpisodeError, also on other types, BagError.

        `cameras`: name -> topic (None: the default topic); without it, all of the robot's cameras that were recorded.
        A compressed topic is preferred to a raw one.
        """
        found: dict[str, str] = {}
        for camera in robot.cameras if cameras is None else robot.select_cameras(cameras):
            named = (cameras or {}).get(camera.name)
            names = [named] if named else [f"{camera.name}/image_raw/compressed", f"{camera.name}/image_raw"]
            topic = next((topic for topic in map(bag.find, names) if topic is not None), None)
            if topic is not None:
                found[camera.name] = topic
            elif cameras is not None:
                raise _missing(bag, f"camera '{camera.name}'", names, "--cameras NAME=TOPIC")
        if not found:
            names = [f"{camera.name}/image_raw[/compressed]" for camera in robot.cameras]
            raise _missing(bag, "any camera of the robot file", names, "--cameras NAME=TOPIC")
        task_topics = [
            topic for topic in map(bag.find, ("active_task", "task")) if topic and bag.counts[topic]
        ]
        for name, topic in found.items():
            check_type(bag, topic, f"camera '{name}'", IMAGES)
        authority = bag.find("control_authority")
        for what, topics in (("task", task_topics), ("control", [authority] if authority else [])):
            for topic in topics:
                check_type(bag, topic, what, (TEXT,))
        return cls(
            cameras=found,
            state=_required(bag, "the state", state, "--state TOPIC"),
            action=_required(bag, "the action", action, "--action TOPIC, such as leader/joint_states"),
            task=next(iter(task_topics), None),
            authority=authority if authority and bag.counts[authority] else None,
        )


def _required(bag: Bag, what: str, name: str, option: str) -> str:
    topic = bag.find(name)
    if topic is None:
        raise _missing(bag, what, [name], option)
    check_type(bag, topic, what, (JOINT_STATE,))
    return topic


def check_type(bag: Bag, topic: str, what: str, types: tuple[str, ...]) -> None:
    """Raise EpisodeError if the messages of a topic are of none of these types."""
    if (kind := bag.topics[topic]) not in types:
        raise EpisodeError(
            f"bag '{bag.path}': {topic} ({what}) is a {kind}, not a {' or '.join(types)}; name or record another topic"
        )


def _missing(bag: Bag, what: str, names: list[str], option: str) -> EpisodeError:
    known = ", ".join(f"{topic} ({kind})" for topic, kind in sorted(bag.topics.items())) or "no topics"
    return EpisodeError(
        f"bag '{bag.path}' has no topic for {what}, expected {' or '.join(names)}; it has {known}. Name it with "
        f"{option}"
    )
