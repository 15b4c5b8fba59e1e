# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings are checked against their bounds and choices, without ROS."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import pytest

from smolvla_ros.settings import SettingError, check_settings, option_for, setting


@dataclass(frozen=True)
class Config:
    rate_hz: float = setting(30.0, "rate", bounds=(1.0, 200.0))
    fusion: str = setting("replace", "fusion", choices=("replace", "linear_blend"))
    armed: bool = setting(False, "armed")


@pytest.mark.parametrize("rate_hz", [1.0, 30.0, 200.0])
def test_bounds_are_inclusive(rate_hz: float) -> None:
    check_settings(Config(rate_hz=rate_hz))


@pytest.mark.parametrize("rate_hz", [0.999, 200.1, math.nan, math.inf])
def test_an_error_names_a_value_outside_its_bounds(rate_hz: float) -> None:
    with pytest.raises(SettingError, match=r"rate_hz: .* is outside 1.0 .. 200.0"):
        check_settings(Config(rate_hz=rate_hz))


def test_an_unknown_choice_lists_the_known_ones() -> None:
    with pytest.raises(SettingError, match="fusion: 'repalce' is not one of replace, linear_blend"):
        check_settings(Config(fusion="repalce"))


@dataclass(frozen=True)
class Options:
    fusion: str = option_for("fusion", Config)


def test_an_option_for_a_setting_has_its_description_and_choices_and_may_be_empty() -> None:
    [entry] = fields(Options)
    assert entry.metadata["description"] == "fusion; empty: replace"
    assert entry.metadata["option_for"] == (Config,)
    check_settings(Options())
    check_settings(Options("linear_blend"))
    with pytest.raises(SettingError, match="'repalce' is not one of"):
        check_settings(Options("repalce"))
