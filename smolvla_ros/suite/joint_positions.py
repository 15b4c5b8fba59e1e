# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read the value of --joint-states: JOINT=RAD pairs, or a file with the output of `ros2 topic echo --once`."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from smolvla_ros.robot import RobotSpec
from smolvla_ros.suite.command_line import UsageError


def parse_joint_positions(arguments: Sequence[str], robot: RobotSpec) -> list[float]:
    """Positions (joints,) rad in the robot's order, from JOINT=RAD pairs or the name of a file; raises UsageError."""
    if len(arguments) == 1 and "=" not in arguments[0]:
        values = _read_joint_states(arguments[0])
    else:
        values = {name: text for name, _, text in (argument.partition("=") for argument in arguments)}
    missing = [name for name in robot.joint_names if name not in values]
    if missing:
        raise UsageError(
            f"--joint-states lacks {', '.join(missing)}; it has {', '.join(map(str, values)) or 'nothing'}"
        )
    return [_radians(name, values[name]) for name in robot.joint_names]


def _radians(name: str, value: Any) -> float:
    try:
        position = float(value)
    except (TypeError, ValueError):
        position = math.nan
    if not math.isfinite(position):
        raise UsageError(f"--joint-states: {name} is {value!r}, expected a number (rad)")
    return position


def _read_joint_states(file: str) -> dict[str, Any]:
    """Joint -> position from the first document of a YAML or JSON file: a sensor_msgs/JointState or a mapping."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        documents = [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--joint-states {file}: {error}") from error
    if not documents:
        raise UsageError(f"--joint-states {file}: it contains no joint states; is the topic published?")
    message = documents[0]
    names, positions = message.get("name"), message.get("position")
    if names is None and positions is None:
        return message
    if not isinstance(names, list) or not isinstance(positions, list) or len(names) != len(positions):
        raise UsageError(
            f"--joint-states {file}: name {names!r} and position {positions!r} must be lists of equal length"
        )
    return dict(zip(names, positions, strict=True))
