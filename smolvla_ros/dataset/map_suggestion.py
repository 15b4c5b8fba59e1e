# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a mapping file from the topics of a bag, for a person to correct: the nearest names, else the same order."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.bag_topics import IMAGES, JOINT_STATE, TEXT
from smolvla_ros.dataset.errors import BagError
from smolvla_ros.dataset.joint_topics import ARRAYS, JOINT_TRAJECTORY
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
    ranges = _ranges(bag, topic)
    lines = [
        f"{key}:",
        f"  topic: {topic}{_others(topics[1:])}",
        "  joints:  # values in this bag: from .. to",
    ]
    left = sorted(ranges, key=_number)
    ends = [abs(end) for name in left[: len(robot.joints) - 1] for end in ranges[name]]
    unit = ", unit: degrees" if max(ends, default=0) > LARGEST_RAD else ""
    for joint in robot.joints:
        alike = difflib.get_close_matches(joint.name, [str(name) for name in left], 1, ALIKE)
        source = next((name for name in left if [str(name)] == alike), left[0] if left else None)
        if source is None:
            lines.append(f"    {joint.name}: {{source: }}  # the messages have no more values")
            continue
        left.remove(source)
        low, high = ranges[source]
        is_gripper = joint.unit == "range_0_100" and low < high
        how = f", limits: [{low:.4g}, {high:.4g}]" if is_gripper else unit
        lines.append(f"    {joint.name}: {{source: {_quoted(source)}{how}}}  # {low:.4g} .. {high:.4g}")
    return lines + ([f"    # also in the messages: {', '.join(map(str, left))}"] if left else [])


def _ranges(bag: Bag, topic: str) -> dict[str | int, tuple[float, float]]:
    """The lowest and highest value of each joint, or place in an array, in all messages of a topic."""
    ranges: dict[str | int, tuple[float, float]] = {}
    for recorded in bag.messages([topic]):
        for name, value in _positions(recorded.type, recorded.decode()):
            low, high = ranges.get(name, (value, value))
            ranges[name] = min(low, value), max(high, value)
    return ranges


def _positions(kind: str, message: Any) -> Iterator[tuple[str | int, float]]:
    if kind == JOINT_STATE:
        yield from zip(map(str, message.name), map(float, message.position), strict=False)
    elif kind == JOINT_TRAJECTORY:
        for point in message.points:
            yield from zip(map(str, message.joint_names), map(float, point.positions), strict=False)
    else:
        yield from enumerate(map(float, message.data))


def _quoted(name: str | int) -> str:
    """A joint's name as a value in YAML."""
    is_plain = isinstance(name, int) or re.fullmatch(r"[A-Za-z_][\w/.-]*", name)
    return str(name) if is_plain else json.dumps(name)


def _number(name: str | int) -> float:
    """The number in a joint's name, by which names are sorted; names without a number come last."""
    digits = re.search(r"\d+", str(name))
    return int(digits[0]) if digits else math.inf


def _others(topics: Sequence[str]) -> str:
    return f"  # or {', '.join(topics)}" if topics else ""
