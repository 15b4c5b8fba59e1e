# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a mapping file from the topics of a bag, for a person to correct: the nearest names, else the same order."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smolvla_ros.dataset.alignment import IMAGES, JOINT_STATE, TEXT
from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.errors import BagError
from smolvla_ros.dataset.mapped_bag import ARRAYS, JOINT_TRAJECTORY
from smolvla_ros.dataset.video_topics import VIDEO_TYPES
from smolvla_ros.robot import RobotSpec

COMMAND_WORDS = ("command", "action", "leader", "target", "goal", "reference", "trajectory")
LARGEST_RAD = 2 * math.pi  # a larger position is in degrees
ALIKE = 0.5  # similarity of names, 0 .. 1


def suggest_mapping(path: Path, robot: RobotSpec) -> str:
    """The text of a mapping file for a bag; raises BagError if it holds no joint positions."""
    with Bag(path) as bag:
        kinds = (JOINT_STATE, JOINT_TRAJECTORY, *ARRAYS)
        joints = [topic for topic, kind in sorted(bag.topics.items()) if kind in kinds and bag.counts[topic]]
        if not joints:
            raise BagError(
                f"bag '{path}' has no joint positions: none of its topics is a {' or '.join(kinds)}"
            )
        commands = [topic for topic in joints if any(word in topic for word in COMMAND_WORDS)]
        states = [topic for topic in joints if topic not in commands] or joints
        images = [topic for topic, kind in sorted(bag.topics.items()) if kind in (*IMAGES, *VIDEO_TYPES)]
        tasks = [topic for topic, kind in sorted(bag.topics.items()) if kind == TEXT]
        return "\n".join(
            [
                f"# How bag '{bag.name}' becomes episodes of {robot.name}. A suggestion: correct it where it is wrong.",
                "# Names on the left are those of the robot file; config/map_example.yaml explains all keys.",
                *_camera_lines(images, robot),
                *_joint_lines("state", bag, states, robot),
                *_joint_lines("action", bag, commands or states, robot),
                *([f"task: {tasks[0]}{_others(tasks[1:])}"] if tasks else ["# task: none; use --task TEXT"]),
                "",
            ]
        )


def _camera_lines(images: Sequence[str], robot: RobotSpec) -> list[str]:
    left = list(images)
    lines = ["cameras:"]
    for camera in robot.cameras:
        named = [topic for topic in left if camera.name in topic]
        if named or len(lines) <= len(images):
            topic = (named or left or [""])[0]
            if topic:
                left.remove(topic)
                lines.append(f"  {camera.name}: {topic}")
    unused = [f"  # also recorded: {topic}" for topic in left]
    return [*lines, *unused] if len(lines) > 1 else ["# cameras: no images were recorded"]


def _joint_lines(key: str, bag: Bag, topics: Sequence[str], robot: RobotSpec) -> list[str]:
    topic = topics[0]
    message = next(bag.messages([topic])).decode()
    names, values = _positions(bag.topics[topic], message)
    lines = [f"{key}:", f"  topic: {topic}{_others(topics[1:])}", "  joints:"]
    free = list(names)
    for joint in robot.joints:
        alike = difflib.get_close_matches(
            joint.name, [name for name in free if isinstance(name, str)], 1, ALIKE
        )
        if not alike and not free:
            lines.append(f"    {joint.name}: {{source: }}  # the message has no more values")
            continue
        source = alike[0] if alike else free[0]
        free.remove(source)
        unit = ", unit: degrees" if any(abs(value) > LARGEST_RAD for value in values) else ""
        doubt = "" if source == joint.name else "  # right?"
        lines.append(f"    {joint.name}: {{source: {source}{unit}}}{doubt}")
    return lines + ([f"    # also in the message: {', '.join(map(str, free))}"] if free else [])


def _positions(kind: str, message: Any) -> tuple[list[str | int], list[float]]:
    if kind == JOINT_STATE:
        return [str(name) for name in message.name], list(map(float, message.position))
    if kind == JOINT_TRAJECTORY:
        values = message.points[0].positions if len(message.points) else []
        return [str(name) for name in message.joint_names], list(map(float, values))
    return list(range(len(message.data))), list(map(float, message.data))


def _others(topics: Sequence[str]) -> str:
    return f"  # or {', '.join(topics)}" if topics else ""
