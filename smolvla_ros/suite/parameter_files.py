# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Says which keys of a params_file no node of ours takes: ROS passes over them in silence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import yaml

from smolvla_ros.robot import did_you_mean
from smolvla_ros.share import PACKAGE
from smolvla_ros.suite.node_spec import NodeSpec, main_module
from smolvla_ros.suite.options import SuiteError

PARAMETERS = "ros__parameters"
OF_EVERY_NODE = ("autostart", "use_sim_time", "start_type_description_service")
OVERRIDES = "qos_overrides"
NODES = (
    "camera",
    "arm",
    "policy",
    "executor",
    "recorder",
    "teleop",
)  # one file may serve several launch files


def unknown_parameters(file: str, specs: Iterable[NodeSpec]) -> list[str]:
    """One line for each section that names no node and each key that its nodes do not take; raises SuiteError.

    A section is the full name of a node, perhaps with wildcards: `*` is one part of the name, `**` any number.
    """
    if not file:
        return []
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SuiteError(f"params_file: '{file}' cannot be read: {error}") from error
    ours = [spec for spec in specs if spec.package == PACKAGE and spec.is_ros]
    lines = []
    for section, parameters in _sections(content):
        found = [spec for spec in ours if _pattern(section).fullmatch(spec.full_name)]
        name = section.rsplit("/", 1)[-1]
        if not found:
            if hint := did_you_mean(name, NODES) if name not in NODES else "":
                lines.append(f"params_file '{file}': section '{section}' is no node{hint}")
            continue
        known = set(OF_EVERY_NODE).union(*(_parameter_names(main_module(spec)) for spec in found))
        lines += [
            f"params_file '{file}': '{section}' has no parameter '{key}'; it is ignored{did_you_mean(key, known)}"
            for key in _keys(parameters)
            if key not in known and not key.startswith(OVERRIDES)
        ]
    return lines


def _sections(content: Any, name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Sections and their parameters; namespaces may be nested."""
    if not isinstance(content, Mapping):
        return
    for key, value in content.items():
        if key == PARAMETERS and isinstance(value, Mapping):
            yield name or "/", value
        else:
            yield from _sections(value, f"{name}/{str(key).strip('/')}")


def _pattern(section: str) -> re.Pattern[str]:
    """The full names that a section is for."""
    parts = {"*": "/[^/]+", "**": "(?:/[^/]+)*"}
    names = section.strip("/").split("/")
    return re.compile("".join(parts.get(name, f"/{re.escape(name)}") for name in names))


def _keys(parameters: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


@cache
def _parameter_names(node_module: str) -> frozenset[str]:
    """The parameters of the node that a module defines."""
    from smolvla_ros.nodes.suite_node import SuiteNode  # here: it loads DDS, which reads the environment

    [node] = [
        value
        for value in vars(import_module(node_module)).values()
        if isinstance(value, type) and issubclass(value, SuiteNode) and value is not SuiteNode
    ]
    [config] = get_args(node.__orig_bases__[0])
    return frozenset(entry.name for entry in fields(config))
