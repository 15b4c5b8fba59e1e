# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The state of the servos for /diagnostics: their values, and which exceed the thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from smolvla_ros.arm.registers import fault_remedies
from smolvla_ros.arrays import FloatArray
from smolvla_ros.node_configs import ServoThresholds
from smolvla_ros.nodes.suite_node import ERROR, OK, WARN, Health

if TYPE_CHECKING:
    from smolvla_ros.arm.arm_reading import ArmReading


def servo_health(
    joint_names: Sequence[str], reading: ArmReading, limits: ServoThresholds, message: str = "fine"
) -> Health:
    """Warnings, errors and values of one reading; `message` if there are none."""
    errors = [
        f"{name}: {fault_remedies(int(bits))}"
        for name, bits in zip(joint_names, reading.error_bits, strict=True)
        if bits
    ]
    warnings = list(reading.failures.values())
    for unit, quantity, values, warn, error in (
        ("degC", "temperature", reading.temperature_c, limits.temperature_warn_c, limits.temperature_stop_c),
        ("A", "current", reading.current_a, limits.current_warn_a, limits.current_error_a),
        ("of full drive", "load", np.abs(reading.load), limits.load_warn, np.inf),
        ("V", "voltage", -reading.voltage_v, -limits.voltage_warn_v, -limits.voltage_error_v),
    ):
        errors += _beyond(joint_names, quantity, unit, values, error)
        warnings += _beyond(joint_names, quantity, unit, np.where(values >= error, np.nan, values), warn)
    level = ERROR if errors else WARN if warnings else OK
    return Health(level, "; ".join(errors + warnings) or message, _values(joint_names, reading))


def _beyond(
    joint_names: Sequence[str], quantity: str, unit: str, values: FloatArray, limit: float
) -> list[str]:
    return [
        f"{name}: {quantity} {abs(value):.3g} {unit} (limit {abs(limit):g})"
        for name, value in zip(joint_names, values, strict=True)
        if value >= limit
    ]


def _values(joint_names: Sequence[str], reading: ArmReading) -> dict[str, str]:
    totals = {
        "retries": str(int(reading.retries.sum())),
        "communication errors": str(int(reading.communication_errors.sum())),
        "repeated writes": str(int(reading.repeated_writes.sum())),
    }
    columns = zip(
        joint_names, reading.temperature_c, reading.voltage_v, reading.current_a, reading.load, strict=True
    )
    return totals | {
        name: f"{temperature_c:.0f} degC, {voltage_v:.1f} V, {current_a:.2f} A, load {load:.2f}"
        for name, temperature_c, voltage_v, current_a, load in columns
    }
