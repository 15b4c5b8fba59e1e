# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several robots on one computer, from a file: each has the options of so100.launch.py, and a namespace, its name.

left: {port: /dev/serial/by-id/..., calibration: left.json, cameras: top=/dev/video0}
right: {port: /dev/serial/by-id/..., calibration: right.json, cameras: top=/dev/video2, task: stack the cubes}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import yaml

from smolvla_ros.robot import did_you_mean
from smolvla_ros.suite.options import SuiteError, SuiteOptions

NAME = re.compile(r"[a-z][a-z0-9_]*")  # of a ROS namespace
OF_ALL = {"robots", "namespace", "network"}  # options that one robot cannot have for itself


def fleet_options(file: str, shared: Mapping[str, str]) -> tuple[SuiteOptions, ...]:
    """The options of each robot of the file, which win over the `shared` ones; raises SuiteError."""
    try:
        robots = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SuiteError(f"robots: '{file}' cannot be read: {error}") from error
    if not isinstance(robots, dict) or not robots:
        raise SuiteError(
            f"robots: '{file}' holds no robots, such as left: {{port: /dev/..., calibration: left.json}}"
        )
    return tuple(_robot(file, str(name), given, shared) for name, given in robots.items())


def _robot(file: str, name: str, given: object, shared: Mapping[str, str]) -> SuiteOptions:
    known = {entry.name for entry in fields(SuiteOptions)} - OF_ALL
    where = f"robots: '{file}', robot '{name}'"
    if not NAME.fullmatch(name):
        raise SuiteError(f"{where}: a name has small letters, digits and _, as it becomes a ROS namespace")
    if not isinstance(given, dict | None):
        raise SuiteError(f"{where}: expected options, such as {{port: /dev/..., calibration: left.json}}")
    options = {str(key): "" if value is None else str(value) for key, value in (given or {}).items()}
    for key in options:
        if key not in known:
            raise SuiteError(f"{where}: there is no option '{key}'{did_you_mean(key, known)}")
    try:
        return SuiteOptions.from_text({**shared, **options, "namespace": name})
    except SuiteError as error:
        raise SuiteError(f"{where}: {error}") from error
