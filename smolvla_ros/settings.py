# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fields of a config dataclass that say what they are: description, range, choices, changeable while running.

A node's ROS parameters are made from its dataclass (`nodes/parameters.py`), so a setting is written once, and the core
checks it the same way where there is no ROS.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import field
from typing import Any


class SettingError(ValueError):
    """A setting outside its range or choices; the message names it, its value and what is allowed."""


def setting(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
    reloads: bool = False,
) -> Any:
    """A dataclass field with its description and bounds.

    live: may change while the node is configured. reloads: so may this; what the node runs on is then loaded anew.
    """
    metadata = {
        "description": description,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "live": live or reloads,
        "reloads": reloads,
    }
    return field(default=default, metadata=metadata)


def check_settings(config: Any) -> None:
    """Raise SettingError for the first field of a dataclass instance that breaks its bounds."""
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        metadata = entry.metadata
        if metadata.get("choices") and value not in metadata["choices"]:
            raise SettingError(f"{entry.name}: '{value}' is not one of {', '.join(metadata['choices'])}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        minimum, maximum = metadata.get("minimum"), metadata.get("maximum")
        too_low = minimum is not None and value < minimum
        too_high = maximum is not None and value > maximum
        if not math.isfinite(value) or too_low or too_high:
            bounds = f"{'-inf' if minimum is None else minimum} .. {'inf' if maximum is None else maximum}"
            raise SettingError(f"{entry.name}: {value} is outside {bounds}")
