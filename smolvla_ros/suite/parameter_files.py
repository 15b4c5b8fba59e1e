# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a params_file sets for a node, and its keys that none of our nodes declares, which ROS ignores silently."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from smolvla_ros.node_configs import NODE_CONFIGS
from smolvla_ros.robot import did_you_mean
from smolvla_ros.share import PACKAGE
from smolvla_ros.suite.node_spec import NodeSpec
from smolvla_ros.suite.options import SuiteError

PARAMETERS = "ros__parameters"
OF_EVERY_NODE = ("autostart", "use_sim_time", "start_type_description_service")
OVERRIDES = "qos_overrides"


def unknown_parameters(file: str, specs: Iterable[NodeSpec]) -> list[str]:
    """One line for each misspelt section and each unknown key; raises SuiteError if the file cannot be read.

    A section is the full name of a node, with wildcards: `*` matches one part of the name, `**` any number of parts.
    """
    if not file:
        return []
    ours = [spec for spec in specs if spec.package == PACKAGE and spec.is_ros]
    lines = []
    for section, parameters in _sections(_content(file)):
        found = [spec for spec in ours if _pattern(section).fullmatch(spec.full_name)]
        name = section.rsplit("/", 1)[-1]
        if not found:  # one file may serve several launch files
            if hint := did_you_mean(name, NODE_CONFIGS) if name not in NODE_CONFIGS else "":
                lines.append(f"params_file '{file}': section '{section}' is not a node{hint}")
            continue
        known = set(OF_EVERY_NODE).union(*(_parameter_names(spec.name) for spec in found))
        lines += [
            f"params_file '{file}': '{section}' has no parameter '{key}'; it is ignored{did_you_mean(key, known)}"
            for key in _keys(parameters)
            if key not in known and not key.startswith(OVERRIDES)
        ]
    return lines


def given_parameters(file: str, full_name: str) -> dict[str, Any]:
    """What a params_file sets for the node of this name; raises SuiteError if the file cannot be read."""
    given: dict[str, Any] = {}
    for section, parameters in _sections(_content(file) if file else None):
        if _pattern(section).fullmatch(full_name):
            given |= parameters
    return given


def _content(file: str) -> Any:
    try:
        return yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SuiteError(f"params_file: '{file}' cannot be read: {error}") from error


def _sections(content: Any, name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The sections with their parameters; namespaces may be nested."""
    if not isinstance(content, Mapping):
        return
    for key, value in content.items():
        if key == PARAMETERS and isinstance(value, Mapping):
            yield name or "/", value
        else:
            yield from _sections(value, f"{name}/{str(key).strip('/')}")


def _pattern(section: str) -> re.Pattern[str]:
    """A pattern that matches the full names of the nodes of a section."""
    parts = {"*": "/[^/]+", "**": "(?:/[^/]+)*"}
    names = section.strip("/").split("/")
    return re.compile("".join(parts.get(name, f"/{re.escape(name)}") for name in names))


def _keys(parameters: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


def _parameter_names(node: str) -> set[str]:
    return {entry.name for entry in fields(NODE_CONFIGS[node])}
