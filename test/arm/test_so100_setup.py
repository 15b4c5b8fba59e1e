# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Connecting to emulated servos: what is checked and written, and which arms are rejected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.arm.servo_group import ArmError
from smolvla_ros.arm.so100 import So100Arm
from smolvla_ros.arm.so100_config import So100Config
from smolvla_ros.settings import SettingError
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.units import CalibrationError, JointUnits, MotorCalibration


def test_first_connect_sets_the_servos_up_as_lerobot_does(emulated: EmulatedArm, arm: So100Arm) -> None:
    report = arm.connect()
    assert report.warnings == ()
    assert report.firmware == ("3.10",) * 6
    assert "gripper (servo 6): Protection_Current 500 -> 250" in report.changes
    for servo in emulated.servos.values():
        assert [servo.value(f"{gain}_Coefficient") for gain in "PID"] == [16, 0, 32]
        assert servo.value("Return_Delay_Time") == 0
        assert servo.value("Acceleration") == 254
        assert servo.value("Lock") == 1
    gripper, elbow = emulated.servos["gripper"], emulated.servos["elbow_flex"]
    limits = ("Max_Torque_Limit", "Torque_Limit", "Protection_Current", "Overload_Torque")
    assert [gripper.value(name) for name in limits] == [500, 500, 250, 25]
    assert [elbow.value(name) for name in limits] == [1000, 1000, 500, 80]


def test_multi_turn_positions_are_switched_off_and_reported(
    emulated: EmulatedArm, arm: So100Arm, requests: list[Any]
) -> None:
    arm.connect()
    emulated.servos["elbow_flex"].write(55, b"\x00")  # Lock: what is written now stays in the EEPROM
    emulated.servos["elbow_flex"].write(18, bytes([0x10 | 12]))
    emulated.power_cycle()
    arm.close()
    requests.clear()
    assert arm.connect().changes == ("elbow_flex (servo 3): Phase 28 -> 12",)
    written = [request.id for request in requests if request.code == 0x03 and request.parameters[0] == 18]
    assert written == [3]
    emulated.power_cycle()
    assert emulated.servos["elbow_flex"].value("Phase") == 12


def test_setup_outlasts_the_power(emulated: EmulatedArm, arm: So100Arm) -> None:
    arm.connect()
    emulated.power_cycle()
    assert arm.connect().changes == ()


def test_equal_eeprom_is_not_written_again(arm: So100Arm, requests: list[Any]) -> None:
    arm.connect()
    arm.close()
    requests.clear()
    arm.connect()
    written = [request.parameters[0] for request in requests if request.code in (0x03, 0x83)]
    assert set(written) == {41, 48, 55}  # Acceleration, Torque_Limit of the gripper, Lock: all SRAM


def test_connecting_leaves_a_holding_arm_alone(emulated: EmulatedArm, armed: So100Arm) -> None:
    armed.close()
    armed.connect()
    assert all(servo.value("Torque_Enable") == 1 for servo in emulated.servos.values())
    assert not armed.torque_enabled


def test_missing_servos_are_all_named_and_the_port_is_free_again(
    emulated: EmulatedArm, arm: So100Arm
) -> None:
    emulated.servos["elbow_flex"].silent = True
    emulated.servos["gripper"].silent = True
    with pytest.raises(ArmError, match=r"2 of 6 servos missing: elbow_flex \(servo 3\).*gripper \(servo 6\)"):
        arm.connect()
    assert not arm.bus.is_open


def test_wrong_model_is_refused(emulated: EmulatedArm, arm: So100Arm) -> None:
    emulated.servos["wrist_flex"]._set("Model_Number", 2825)
    with pytest.raises(ArmError, match=r"wrist_flex \(servo 4\) is model 2825"):
        arm.connect()


def test_different_firmware_is_a_warning(emulated: EmulatedArm, arm: So100Arm) -> None:
    emulated.servos["wrist_flex"]._set("Firmware_Minor_Version", 9)
    assert "wrist_flex 3.9" in arm.connect().warnings[0]


def test_calibration_of_another_arm_is_refused_with_both_values(
    emulated: EmulatedArm, units: tuple[JointUnits, ...], calibration: dict[str, MotorCalibration]
) -> None:
    other = replace(calibration["shoulder_lift"], homing_offset=5, range_max=3000)
    wrong = tuple(replace(j, calibration=other) if j.name == "shoulder_lift" else j for j in units)
    with pytest.raises(ArmError) as raised:
        So100Arm(FeetechBus(emulated.port), wrong).connect()
    assert "shoulder_lift (servo 2) has Homing_Offset 1012, the file says 5" in str(raised.value)
    assert "shoulder_lift (servo 2) has Max_Position_Limit 3140, the file says 3000" in str(raised.value)
    assert "shoulder_pan" not in str(raised.value)


def test_arm_without_a_calibration_is_refused(units: tuple[JointUnits, ...]) -> None:
    with pytest.raises(CalibrationError, match="'shoulder_pan' has no calibration"):
        So100Arm(FeetechBus("unused"), (replace(units[0], calibration=None), *units[1:]))


def test_setting_out_of_range_is_refused(units: tuple[JointUnits, ...]) -> None:
    with pytest.raises(SettingError, match="p_coefficient"):
        So100Arm(FeetechBus("unused"), units, So100Config(p_coefficient=300))
