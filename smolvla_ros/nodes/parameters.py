# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fields of a config dataclass as ROS parameters: declared with description and range, read, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

ConfigT = TypeVar("ConfigT")
UNBOUNDED_INT = 2**63 - 1
UNBOUNDED_FLOAT = 1.7976931348623157e308


def declare(node: Node, config_type: type[Any]) -> None:
    """Declare a parameter for each field of `config_type`, with its description, range and choices."""
    for entry in dataclasses.fields(config_type):
        default = list(entry.default) if isinstance(entry.default, tuple) else entry.default
        if default == []:  # from which ROS cannot tell the type
            default = Parameter.Type.STRING_ARRAY
        node.declare_parameter(entry.name, default, _descriptor(entry))


def read(node: Node, config_type: type[ConfigT]) -> ConfigT:
    """The current parameters as a config; raises what the dataclass raises for invalid values."""
    entries = dataclasses.fields(config_type)  # type: ignore[arg-type]
    values = {entry.name: node.get_parameter_or(entry.name).value for entry in entries}
    return with_values({}, config_type, values)


def with_parameters(config: ConfigT, parameters: Iterable[Parameter]) -> ConfigT:
    """`config` with the given parameters changed and checked; parameters that are not its fields are ignored."""
    config_type = type(config)
    names = {entry.name for entry in dataclasses.fields(config)}  # type: ignore[arg-type]
    changes = {parameter.name: parameter.value for parameter in parameters if parameter.name in names}
    return with_values(dataclasses.asdict(config), config_type, changes)  # type: ignore[call-overload]


def with_values(base: dict[str, Any], config_type: type[ConfigT], values: dict[str, Any]) -> ConfigT:
    """A `config_type` of `base` updated by `values`; lists become tuples, unset arrays empty tuples."""
    merged = {**base, **values}
    for entry in dataclasses.fields(config_type):  # type: ignore[arg-type]
        if isinstance(entry.default, tuple):
            merged[entry.name] = tuple(merged.get(entry.name) or ())
    return config_type(**merged)


def live_names(config_type: type[Any]) -> set[str]:
    """Names of the parameters that may change while the node is configured."""
    return {entry.name for entry in dataclasses.fields(config_type) if entry.metadata.get("live")}


def reload_names(config_type: type[Any]) -> set[str]:
    """Names of the parameters whose change makes the node load its policy again."""
    return {entry.name for entry in dataclasses.fields(config_type) if entry.metadata.get("reloads")}


def _descriptor(entry: dataclasses.Field[Any]) -> ParameterDescriptor:
    metadata = entry.metadata
    note = "; set while the node runs, it loads the policy again" if metadata["reloads"] else ""
    descriptor = ParameterDescriptor(description=metadata["description"] + note)
    if metadata["choices"]:
        descriptor.additional_constraints = f"one of {', '.join(metadata['choices'])}"
    low, high = metadata["bounds"]
    if low is None and high is None:
        return descriptor
    if isinstance(entry.default, int):
        bounds = IntegerRange(
            from_value=int(-UNBOUNDED_INT if low is None else low),
            to_value=int(UNBOUNDED_INT if high is None else high),
        )
        descriptor.integer_range = [bounds]
    else:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=float(-UNBOUNDED_FLOAT if low is None else low),
                to_value=float(UNBOUNDED_FLOAT if high is None else high),
            )
        ]
    return descriptor
