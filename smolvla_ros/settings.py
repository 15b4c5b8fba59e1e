# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fields of a config dataclass with description, range, choices, and whether they may change while a node runs.

Each setting is written once. Its ROS parameter (`nodes/parameters.py`), launch argument (`suite/options.py`) and
command line option (`suite/command_line.py`) are made of its field, and it is checked here, without ROS.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any


class SettingError(ValueError):
    """A setting is outside its range or choices; the message names it, its value and what is allowed."""


def setting(
    default: Any,
    description: str,
    *,
    bounds: tuple[float | None, float | None] = (None, None),
    choices: tuple[str, ...] = (),
    live: bool = False,
    reloads: bool = False,
) -> Any:
    """A dataclass field with its description and bounds: minimum and maximum, inclusive; None: no limit.

    live: may change while the node is configured. reloads: live, and a change makes the node load its policy again.
    """
    metadata = {
        "description": description,
        "bounds": bounds,
        "choices": choices,
        "live": live or reloads,
        "reloads": reloads,
    }
    return field(default=default, metadata=metadata)


def option_for(name: str, *config_types: type[Any], when_empty: str = "") -> Any:
    """A text field for a setting of these configs, the same one in all; empty by default, which means "not given".

    Description and choices are those of the first config. when_empty: what "not given" means; by default the setting's
    own default value.
    """
    [entry] = [entry for entry in dataclasses.fields(config_types[0]) if entry.name == name]
    description, choices = entry.metadata["description"], entry.metadata["choices"]
    if meaning := when_empty or entry.default:
        description = f"{description}; empty: {meaning}"
    if choices and "" not in choices:
        choices = ("", *choices)
    metadata = {"description": description, "choices": choices, "option_for": config_types}
    return field(default="", metadata={**entry.metadata, **metadata})


@dataclass(frozen=True)
class Settings:
    """Base class of settings; raises SettingError for a value outside the bounds or choices of its field."""

    def __post_init__(self) -> None:
        check_settings(self)


def check_settings(config: Any) -> None:
    """Raise SettingError for the first field of a dataclass instance that breaks its bounds."""
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        metadata = entry.metadata
        if metadata.get("choices") and value not in metadata["choices"]:
            raise SettingError(f"{entry.name}: '{value}' is not one of {', '.join(metadata['choices'])}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        minimum, maximum = metadata.get("bounds", (None, None))
        too_low = minimum is not None and value < minimum
        too_high = maximum is not None and value > maximum
        if not math.isfinite(value) or too_low or too_high:
            bounds = f"{'-inf' if minimum is None else minimum} .. {'inf' if maximum is None else maximum}"
            raise SettingError(f"{entry.name}: {value} is outside {bounds}")
