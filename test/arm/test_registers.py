# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The register table and its sign-magnitude words, against values made with LeRobot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smolvla_ros.arm.registers import (
    REGISTERS,
    TABLE_SIZE,
    TELEMETRY,
    RegisterError,
    block,
    decode_sign_magnitude,
    encode_sign_magnitude,
    fault_names,
    register,
)

GOLDEN_FILE = Path(__file__).parents[1] / "data/golden_units/unit_cases.json"
GOLDEN = json.loads(GOLDEN_FILE.read_text())["motor_sign_magnitude"]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"bit{case['sign_bit']}:{case['value']}")
def test_sign_magnitude_is_that_of_lerobot(case: dict[str, Any]) -> None:
    assert encode_sign_magnitude(case["value"], case["sign_bit"]) == case["encoded"]
    assert decode_sign_magnitude(case["encoded"], case["sign_bit"]) == case["decoded_back"]


@pytest.mark.parametrize("name", sorted(set(GOLDEN["sign_bit"]) & set(REGISTERS)))
def test_sign_bit_of_a_register_is_that_of_lerobot(name: str) -> None:
    assert register(name).sign_bit == GOLDEN["sign_bit"][name]


def test_no_two_registers_share_an_address() -> None:
    taken = [address for entry in REGISTERS.values() for address in range(entry.address, entry.end)]
    assert len(taken) == len(set(taken))
    assert max(taken) == TABLE_SIZE - 1


def test_telemetry_is_fifteen_registers_in_one_block_together() -> None:
    assert len(TELEMETRY) == 15
    assert block(TELEMETRY) == (40, 31)


def test_unknown_register_raises_and_names_the_nearest() -> None:
    with pytest.raises(RegisterError, match="'Goal_Postion'; did you mean 'Goal_Position'"):
        register("Goal_Postion")


@pytest.mark.parametrize(
    ("name", "value"), [("Homing_Offset", 2048), ("ID", 256), ("ID", -1), ("Torque_Limit", 65536)]
)
def test_value_that_does_not_fit_is_refused(name: str, value: int) -> None:
    with pytest.raises(RegisterError, match=f"{name}: {value} does not fit"):
        register(name).encode(value)


def test_words_are_little_endian() -> None:
    assert register("Goal_Position").encode(2048) == b"\x00\x08"
    assert register("Present_Load").decode(b"\x07\x04") == -7


def test_faults_are_named_and_unknown_bits_are_not_lost() -> None:
    assert fault_names(1 | 32) == ("voltage", "overload")
    assert fault_names(16) == ("bit 4",)
    assert fault_names(0) == ()
