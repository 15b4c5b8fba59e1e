# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a bag holds the cameras, the state, the action and the task of this robot; config/map_example.yaml explains it.

Without a mapping, the topics and messages are those of this package.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from smolvla_ros.dataset.errors import DataError
from smolvla_ros.robot import JointSpec, RobotSpec, did_you_mean

UNITS = {"radians": 1.0, "degrees": math.pi / 180}  # to rad


class MappingError(DataError):
    """A mapping file cannot be used; the message names the file, the key, its value and the remedy."""


@dataclass(frozen=True)
class JointSource:
    """Where a message holds the position of a joint, which is scale * value + offset_rad."""

    source: str | int  # its name in the message, or its place in an array, counted from 0
    scale: float = 1.0
    offset_rad: float = 0.0


@dataclass(frozen=True)
class JointTopic:
    """A topic with joint positions; a name without a leading slash is found in any namespace."""

    name: str  # of several topics: all of them
    joints: tuple[JointSource, ...] = ()  # in the robot's order; empty: named as the robot's, in rad
    # several topics: what is put before the names of its joints -> topic
    arms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VectorTopic:
    """A topic whose values are a feature of their own."""

    topic: str
    names: tuple[str, ...] = ()  # of the values of an array; empty: those of the message type


@dataclass(frozen=True)
class BagMapping:
    """The topics of a bag, and how their messages become joint states of this robot."""

    cameras: Mapping[str, str | None] | None = None  # as in BagTopics.find
    state: JointTopic = JointTopic("joint_states")
    action: JointTopic = JointTopic("joint_commands")
    task: str | None = None  # None: active_task or task
    vectors: Mapping[str, VectorTopic] = field(default_factory=dict)  # name after "observation." -> topic

    @classmethod
    def load(cls, path: Path, robot: RobotSpec) -> BagMapping:
        """Read a mapping file; raises MappingError, OSError."""
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise MappingError(f"'{path}' is not valid YAML: {error}") from error
        root = _table(data, str(path), ("cameras", "state", "action", "task", "vectors"))
        cameras = root.get("cameras")
        if cameras is not None:
            names = [camera.name for camera in robot.cameras]
            cameras = {
                name: _text(topic, f"{path}: cameras.{name}")
                for name, topic in _table(cameras, f"{path}: cameras", names).items()
            }
        return cls(
            cameras,
            _joint_topic(root["state"], f"{path}: state", robot) if "state" in root else cls.state,
            _joint_topic(root["action"], f"{path}: action", robot) if "action" in root else cls.action,
            _text(root["task"], f"{path}: task") if "task" in root else None,
            _vectors(root["vectors"], f"{path}: vectors") if "vectors" in root else {},
        )


OWN_TOPICS = BagMapping()  # the topics of this package


def _joint_topic(data: Any, where: str, robot: RobotSpec) -> JointTopic:
    table = _table(data, where, ("topic", "arms", "joints"))
    if "arms" in table:
        if "topic" in table:
            raise MappingError(f"{where}: topic and arms exclude each other")
        arms = {
            str(prefix): _text(topic, f"{where}.arms.{prefix}")
            for prefix, topic in _table(table["arms"], f"{where}.arms").items()
        }
        if len(set(arms.values())) < 2:
            raise MappingError(f"{where}.arms: expected two topics or more, got {table['arms']!r}; use topic")
    else:
        arms = {}
    topic = " + ".join(arms.values()) or _text(table.get("topic"), f"{where}.topic")
    if "joints" not in table:
        return JointTopic(topic, arms=arms)
    names = [joint.name for joint in robot.joints]
    joints = _table(table["joints"], f"{where}.joints", names)
    if missing := [name for name in names if name not in joints]:
        raise MappingError(f"{where}.joints has no {', '.join(missing)}; the robot file has these joints")
    return JointTopic(
        topic,
        tuple(
            _joint_source(joints[joint.name], f"{where}.joints.{joint.name}", joint) for joint in robot.joints
        ),
        arms,
    )


def _vectors(data: Any, where: str) -> dict[str, VectorTopic]:
    vectors = {}
    for name, entry in _table(data, where).items():
        if not re.fullmatch(r"(?!state$|image)[A-Za-z]\w*", str(name)):
            raise MappingError(
                f"{where}: '{name}' cannot be the name of a vector: letters, digits and _, not state, not image..."
            )
        table = _table(entry, f"{where}.{name}", ("topic", "names"))
        names = table.get("names", [])
        if not isinstance(names, list) or len(set(map(str, names))) != len(names):
            raise MappingError(f"{where}.{name}.names: expected a list of different names, got {names!r}")
        topic = _text(table.get("topic"), f"{where}.{name}.topic")
        vectors[name] = VectorTopic(topic, tuple(map(str, names)))
    topics = [vector.topic for vector in vectors.values()]
    if len(set(topics)) < len(topics):
        raise MappingError(f"{where}: a topic can be one vector only, got {', '.join(topics)}")
    return vectors


def _joint_source(data: Any, where: str, joint: JointSpec) -> JointSource:
    table = _table(data, where, ("source", "unit", "scale", "offset", "limits"))
    source = table.get("source")
    if isinstance(source, bool) or not (isinstance(source, int) or (isinstance(source, str) and source)):
        raise MappingError(
            f"{where}.source: expected a joint's name or its place in an array, got {source!r}"
        )
    if "limits" in table:
        if others := [key for key in ("unit", "scale", "offset") if key in table]:
            raise MappingError(f"{where}: limits and {others[0]} exclude each other")
        ends = table["limits"]
        if not isinstance(ends, list) or len(ends) != 2 or ends[0] == ends[1]:
            raise MappingError(
                f"{where}.limits: expected the values at the joint's lower and upper limit, such as [0, 100], got "
                f"{ends!r}"
            )
        low, high = (_number(end, f"{where}.limits") for end in ends)
        scale = (joint.upper_rad - joint.lower_rad) / (high - low)
        return JointSource(source, scale, joint.lower_rad - low * scale)
    unit = table.get("unit", "radians")
    if unit not in UNITS:
        raise MappingError(f"{where}.unit: '{unit}' is not one of {', '.join(UNITS)}")
    scale = _number(table.get("scale", 1), f"{where}.scale")
    return JointSource(
        source, scale * UNITS[unit], _number(table.get("offset", 0), f"{where}.offset") * UNITS[unit]
    )


def _table(data: Any, where: str, known: Iterable[str] | None = None) -> dict[str, Any]:
    """A mapping of keys to values. `known`: its possible keys; None: any."""
    if not isinstance(data, dict) or not data:
        raise MappingError(f"{where}: expected keys and values, got {data!r}")
    unknown = [] if known is None else [key for key in data if key not in known]
    if unknown:
        names = list(known or ())
        raise MappingError(
            f"{where}: unknown key '{unknown[0]}' (known: {', '.join(names)}){did_you_mean(str(unknown[0]), names)}"
        )
    return dict(data)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise MappingError(f"{where}: expected the name of a topic, got {value!r}")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise MappingError(f"{where}: expected a number, got {value!r}")
    return float(value)
