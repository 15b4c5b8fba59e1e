# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Servo settings at connect: model and calibration are checked, EEPROM is written only where it differs."""

from __future__ import annotations

from dataclasses import dataclass

from smolvla_ros.arm.calibration import CALIBRATION_REGISTERS
from smolvla_ros.arm.registers import STS3215_MODEL_NUMBER, register
from smolvla_ros.arm.servo_group import ArmError, ServoGroup
from smolvla_ros.arm.so100_config import So100Config

FIRMWARE_REGISTERS = ("Firmware_Major_Version", "Firmware_Minor_Version")
MULTI_TURN_BIT = 0x10  # of Phase: positions run on past a turn, and become negative or too large


@dataclass(frozen=True)
class ConnectReport:
    """What connecting found and changed, for the log."""

    firmware: tuple[str, ...]  # by joint
    changes: tuple[str, ...]  # EEPROM registers that were written
    warnings: tuple[str, ...]


def set_up_servos(
    servos: ServoGroup, config: So100Config, warnings: list[str]
) -> tuple[ConnectReport, dict[int, int]]:
    """Check and set up every servo; returns the report, which has `warnings` too, and Torque_Limit by servo id.

    Raises ArmError on a wrong model, a calibration other than the servos', or a register that keeps its value.
    """
    registers = dict.fromkeys(
        (
            *FIRMWARE_REGISTERS,
            "Model_Number",
            *CALIBRATION_REGISTERS,
            "Max_Torque_Limit",
            "Phase",
            *config.eeprom(config.gripper),
        )
    )
    found = servos.read([name for name in registers if register(name).area == "eeprom"])
    for servo_id, values in servos.read([n for n in registers if register(n).area == "factory"]).items():
        found[servo_id] |= values
    _check_model(servos, found)
    _check_calibration(servos, found)
    firmware = tuple(".".join(str(found[i][name]) for name in FIRMWARE_REGISTERS) for i in servos.ids)
    if len(set(firmware)) > 1:
        versions = ", ".join(f"{name} {v}" for name, v in zip(servos.joint_names, firmware, strict=True))
        warnings.append(f"servos differ in firmware ({versions}); bring them to one with Feetech's tool")
    changes: list[str] = []
    for index, servo_id in enumerate(servos.ids):
        _write_eeprom(servos, index, config, found[servo_id], changes, warnings)
    servos.write("Lock", dict.fromkeys(servos.ids, 1))
    servos.write("Acceleration", dict.fromkeys(servos.ids, config.acceleration))
    # the servo copies it from EEPROM at power-on only, and an earlier run may have lowered it
    torque_limits = {
        servo_id: config.eeprom(name).get("Max_Torque_Limit", found[servo_id]["Max_Torque_Limit"])
        for name, servo_id in zip(servos.joint_names, servos.ids, strict=True)
    }
    servos.write("Torque_Limit", torque_limits)
    return ConnectReport(firmware, tuple(changes), tuple(warnings)), torque_limits


def _check_model(servos: ServoGroup, found: dict[int, dict[str, int]]) -> None:
    for label, servo_id in zip(servos.labels, servos.ids, strict=True):
        model = found[servo_id]["Model_Number"]
        if model != STS3215_MODEL_NUMBER:
            raise ArmError(f"{label} is model {model}, an SO-100 has STS3215 ({STS3215_MODEL_NUMBER})")


def _check_calibration(servos: ServoGroup, found: dict[int, dict[str, int]]) -> None:
    """Raises ArmError unless the servos hold this calibration: their EEPROM decides what a tick means."""
    different = [
        f"{label} has {name} {found[motor.id][name]}, the file says {getattr(motor, entry)}"
        for label, motor in zip(servos.labels, servos.motors, strict=True)
        for name, entry in CALIBRATION_REGISTERS.items()
        if found[motor.id][name] != getattr(motor, entry)
    ]
    if different:
        raise ArmError(
            f"the calibration file is not the one in the servos: {'; '.join(different)}. "
            "Give the file of this arm, or calibrate it again"
        )


def _write_eeprom(
    servos: ServoGroup,
    index: int,
    config: So100Config,
    found: dict[str, int],
    changes: list[str],
    warnings: list[str],
) -> None:
    """Write one servo's registers that differ, with its torque off; what was done goes into the two lists."""
    bus, servo_id, label = servos.bus, servos.ids[index], servos.labels[index]
    # LeRobot 0.6 clears this bit of Phase when it connects and leaves its others as they are.
    wanted = config.eeprom(servos.joint_names[index]) | {"Phase": found["Phase"] & ~MULTI_TURN_BIT}
    differing = {name: value for name, value in wanted.items() if found[name] != value}
    if differing:
        bus.write(servo_id, "Torque_Enable", 0)
        bus.write(servo_id, "Lock", 0)
    for name, value in differing.items():
        bus.write(servo_id, name, value)
        kept = bus.read(servo_id, name)
        if kept == value:
            changes.append(f"{label}: {name} {found[name]} -> {value}")
        elif register(name).area == "factory":  # undocumented, and not every firmware lets it be set
            warnings.append(f"{label} keeps {name} at {kept} instead of {value}")
        else:
            raise ArmError(f"{label} keeps {name} at {kept} instead of {value}; power the arm off and on")
