# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A setting outside its bounds is refused by name, with or without ROS."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from smolvla_ros.settings import SettingError, check_settings, setting


@dataclass(frozen=True)
class Config:
    rate_hz: float = setting(30.0, "rate", minimum=1.0, maximum=200.0)
    fusion: str = setting("replace", "fusion", choices=("replace", "linear_blend"))
    armed: bool = setting(False, "armed")


@pytest.mark.parametrize("rate_hz", [1.0, 30.0, 200.0])
def test_bounds_are_inclusive(rate_hz: float) -> None:
    check_settings(Config(rate_hz=rate_hz))


@pytest.mark.parametrize("rate_hz", [0.999, 200.1, math.nan, math.inf])
def test_a_value_outside_its_bounds_is_named(rate_hz: float) -> None:
    with pytest.raises(SettingError, match=r"rate_hz: .* is outside 1.0 .. 200.0"):
        check_settings(Config(rate_hz=rate_hz))


def test_an_unknown_choice_lists_the_known_ones() -> None:
    with pytest.raises(SettingError, match="fusion: 'repalce' is not one of replace, linear_blend"):
        check_settings(Config(fusion="repalce"))
