# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Warnings and errors on /diagnostics by the thresholds of the arm's parameters."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from smolvla_ros.arm.arm_reading import ArmReading
from smolvla_ros.node_configs import ServoThresholds
from smolvla_ros.nodes.arm_health import servo_health
from smolvla_ros.nodes.suite_node import ERROR, OK, WARN
from smolvla_ros.settings import SettingError

NAMES = ("shoulder_pan", "gripper")


def reading(**changed: Any) -> ArmReading:
    """Two healthy servos; `changed` values are the gripper's."""
    values: dict[str, Any] = {entry.name: np.zeros(2) for entry in fields(ArmReading)}
    values |= {"temperature_c": np.full(2, 30.0), "voltage_v": np.full(2, 7.4)}
    values |= {"error_bits": np.zeros(2, np.int64), "failures": {}}
    for name, value in changed.items():
        values[name] = value if name == "failures" else np.array([values[name][0], value])
    return ArmReading(**values)


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({}, OK, "fine"),
        ({"temperature_c": 51.0}, WARN, "gripper: temperature 51 degC (limit 50)"),
        ({"temperature_c": 65.0}, ERROR, "gripper: temperature 65 degC (limit 65)"),
        ({"voltage_v": 4.6}, WARN, "gripper: voltage 4.6 V (limit 4.8)"),
        ({"voltage_v": 4.2}, ERROR, "gripper: voltage 4.2 V (limit 4.3)"),
        ({"current_a": 1.6}, WARN, "gripper: current 1.6 A (limit 1.5)"),
        ({"current_a": 2.6}, ERROR, "gripper: current 2.6 A (limit 2.5)"),
        ({"load": -0.9}, WARN, "gripper: load 0.9 of full drive (limit 0.8)"),
        ({"error_bits": 32}, ERROR, "gripper: overload: it pushed for too long"),
        ({"error_bits": 16}, ERROR, "gripper: bit 4: its meaning is not documented"),
        ({"failures": {"gripper": "gripper (servo 6): no answer"}}, WARN, "gripper (servo 6): no answer"),
        ({"temperature_c": np.nan, "voltage_v": np.nan, "current_a": np.nan, "load": np.nan}, OK, "fine"),
    ],
)
def test_each_value_has_its_thresholds(changed: dict[str, Any], level: bytes, words: str) -> None:
    health = servo_health(NAMES, reading(**changed), ServoThresholds())
    assert (health.level, health.message[: len(words)]) == (level, words)


def test_values_of_every_servo_are_listed() -> None:
    values = servo_health(NAMES, reading(current_a=0.25), ServoThresholds()).values
    assert values["gripper"] == "30 degC, 7.4 V, 0.25 A, load 0.00"
    assert values["retries"] == values["communication errors"] == values["repeated writes"] == "0"


def test_derating_must_begin_below_the_stop_temperature() -> None:
    with pytest.raises(SettingError, match="temperature_derate_c: 70.0 must be below"):
        ServoThresholds(temperature_derate_c=70.0)
