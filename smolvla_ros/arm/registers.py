# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The control table of a Feetech STS3215: address, width, sign and persistence of its registers.

Words are little-endian. Signed registers are sign-magnitude, not two's complement: one bit is the sign, the
bits below it the magnitude. Unknown register names raise RegisterError. Addresses and sign bits: Feetech's STS memory
table; names as in LeRobot.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Area = Literal["eeprom", "sram", "factory"]

STS3215_MODEL_NUMBER = 777
BAUD_RATES = (1_000_000, 500_000, 250_000, 128_000, 115_200, 57_600, 38_400, 19_200)  # by value of Baud_Rate
CURRENT_UNIT_A = 0.0065  # of Present_Current and Protection_Current
TABLE_SIZE = 87  # bytes, addresses 0 .. 86


class RegisterError(ValueError):
    """An unknown register, or a value that does not fit into one."""


class ServoFault(enum.IntFlag):
    """Bits of a status packet's error byte and of the register Status: faults that
    the servo detects itself."""

    VOLTAGE = 1
    ANGLE = 2  # the position sensor
    OVERHEAT = 4
    OVERCURRENT = 8
    OVERLOAD = 32  # latches until power or torque is cycled


@dataclass(frozen=True)
class Register:
    """One entry of the control table."""

    name: str
    address: int
    length: int  # bytes, 1 or 2
    area: Area  # eeprom and factory: kept without power if Lock was 0 when it was written
    read_only: bool = False
    sign_bit: int | None = None

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.length

    def encode(self, value: int) -> bytes:
        """The bytes of a value; raises RegisterError if it does not fit."""
        if self.sign_bit is not None:
            return encode_sign_magnitude(value, self.sign_bit, self.name).to_bytes(self.length, "little")
        if not 0 <= value < 256**self.length:
            raise RegisterError(f"{self.name}: {value} does not fit into {self.length} unsigned byte(s)")
        return value.to_bytes(self.length, "little")

    def decode(self, data: bytes) -> int:
        """The value of `length` bytes."""
        value = int.from_bytes(data, "little")
        return value if self.sign_bit is None else decode_sign_magnitude(value, self.sign_bit)


def encode_sign_magnitude(value: int, sign_bit: int, name: str = "value") -> int:
    """`value` with its sign in bit `sign_bit`; raises RegisterError if the magnitude needs that bit."""
    limit = (1 << sign_bit) - 1
    if abs(value) > limit:
        raise RegisterError(f"{name}: {value} does not fit, its magnitude may be at most {limit}")
    return -value | (1 << sign_bit) if value < 0 else value


def decode_sign_magnitude(encoded: int, sign_bit: int) -> int:
    """The signed value whose sign is bit `sign_bit`; bits above it are ignored."""
    magnitude = encoded & ((1 << sign_bit) - 1)
    return -magnitude if encoded & (1 << sign_bit) else magnitude


_TABLE = (
    Register("Firmware_Major_Version", 0, 1, "eeprom", read_only=True),
    Register("Firmware_Minor_Version", 1, 1, "eeprom", read_only=True),
    Register("Model_Number", 3, 2, "eeprom", read_only=True),
    Register("ID", 5, 1, "eeprom"),
    Register("Baud_Rate", 6, 1, "eeprom"),  # index into BAUD_RATES
    Register("Return_Delay_Time", 7, 1, "eeprom"),  # 2 us
    Register("Response_Status_Level", 8, 1, "eeprom"),  # 0: answers reads and pings, 1: everything
    Register("Min_Position_Limit", 9, 2, "eeprom"),
    Register("Max_Position_Limit", 11, 2, "eeprom"),
    Register("Max_Temperature_Limit", 13, 1, "eeprom"),  # degC
    Register("Max_Voltage_Limit", 14, 1, "eeprom"),  # 0.1 V
    Register("Min_Voltage_Limit", 15, 1, "eeprom"),  # 0.1 V
    Register("Max_Torque_Limit", 16, 2, "eeprom"),  # 0.1 % of stall torque
    Register("Phase", 18, 1, "eeprom"),
    Register("Unloading_Condition", 19, 1, "eeprom"),
    Register("LED_Alarm_Condition", 20, 1, "eeprom"),
    Register("P_Coefficient", 21, 1, "eeprom"),
    Register("D_Coefficient", 22, 1, "eeprom"),
    Register("I_Coefficient", 23, 1, "eeprom"),
    Register("Minimum_Startup_Force", 24, 2, "eeprom"),
    Register("CW_Dead_Zone", 26, 1, "eeprom"),
    Register("CCW_Dead_Zone", 27, 1, "eeprom"),
    Register("Protection_Current", 28, 2, "eeprom"),  # 6.5 mA
    Register("Angular_Resolution", 30, 1, "eeprom"),
    Register("Homing_Offset", 31, 2, "eeprom", sign_bit=11),  # the servo subtracts it from what it reports
    Register("Operating_Mode", 33, 1, "eeprom"),  # 0: position
    Register("Protective_Torque", 34, 1, "eeprom"),  # %
    Register("Protection_Time", 35, 1, "eeprom"),  # 10 ms
    Register("Overload_Torque", 36, 1, "eeprom"),  # %
    Register("Velocity_P_Coefficient", 37, 1, "eeprom"),
    Register("Overcurrent_Protection_Time", 38, 1, "eeprom"),  # 10 ms
    Register("Velocity_I_Coefficient", 39, 1, "eeprom"),
    Register("Torque_Enable", 40, 1, "sram"),
    Register("Acceleration", 41, 1, "sram"),  # 100 ticks/s^2, 0: as fast as it can
    Register("Goal_Position", 42, 2, "sram", sign_bit=15),
    Register("Goal_Time", 44, 2, "sram"),
    Register("Goal_Velocity", 46, 2, "sram", sign_bit=15),  # ticks/s, 0: as fast as it can
    Register("Torque_Limit", 48, 2, "sram"),  # 0.1 %
    Register("Lock", 55, 1, "sram"),  # 0: writes to EEPROM are kept, 1: they are lost at power-off
    Register("Present_Position", 56, 2, "sram", read_only=True, sign_bit=15),
    Register("Present_Velocity", 58, 2, "sram", read_only=True, sign_bit=15),  # ticks/s
    Register("Present_Load", 60, 2, "sram", read_only=True, sign_bit=10),  # 0.1 % of full drive
    Register("Present_Voltage", 62, 1, "sram", read_only=True),  # 0.1 V
    Register("Present_Temperature", 63, 1, "sram", read_only=True),  # degC
    Register("Status", 65, 1, "sram", read_only=True),  # ServoFault bits
    Register("Moving", 66, 1, "sram", read_only=True),
    Register("Present_Current", 69, 2, "sram", read_only=True),  # 6.5 mA
    Register("Moving_Velocity_Threshold", 80, 1, "factory"),
    Register("DTs", 81, 1, "factory"),
    Register("Velocity_Unit_Factor", 82, 1, "factory"),
    Register("Hts", 83, 1, "factory"),
    Register("Maximum_Velocity_Limit", 84, 1, "factory"),
    Register("Maximum_Acceleration", 85, 1, "factory"),  # 100 ticks/s^2
    Register("Acceleration_Multiplier", 86, 1, "factory"),
)
REGISTERS: dict[str, Register] = {entry.name: entry for entry in _TABLE}

# Contiguous, addresses 40 .. 70: one sync read of 31 bytes has the commanded and the measured values of a servo.
TELEMETRY = (
    "Torque_Enable",
    "Acceleration",
    "Goal_Position",
    "Goal_Time",
    "Goal_Velocity",
    "Torque_Limit",
    "Lock",
    "Present_Position",
    "Present_Velocity",
    "Present_Load",
    "Present_Voltage",
    "Present_Temperature",
    "Status",
    "Moving",
    "Present_Current",
)


_REMEDIES = {
    ServoFault.VOLTAGE: "its supply is outside its limits; 12 V servos need 12 V, the others 5 to 7.4 V",
    ServoFault.ANGLE: "its position sensor fails; the servo is broken",
    ServoFault.OVERHEAT: "it is too hot and lets go; take the load off and let it cool",
    ServoFault.OVERCURRENT: "it draws too much current; free what blocks it",
    ServoFault.OVERLOAD: "it pushed for too long and keeps only little torque until that is switched off and on; "
    "free what blocks it, then hold the arm and set parameter `torque` to false and to true, or power it off and on",
}


def register(name: str) -> Register:
    """The register called `name`; raises RegisterError naming the nearest one."""
    entry = REGISTERS.get(name)
    if entry is None:
        nearest = difflib.get_close_matches(name, REGISTERS, n=1)
        hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
        raise RegisterError(f"the STS3215 has no register '{name}'{hint}")
    return entry


def block(names: Sequence[str]) -> tuple[int, int]:
    """Start address and length in bytes of the smallest block that holds the named registers."""
    entries = [register(name) for name in names]
    if not entries:
        raise RegisterError("no register named to read")
    start = min(entry.address for entry in entries)
    return start, max(entry.end for entry in entries) - start


def fault_names(bits: int) -> tuple[str, ...]:
    """Names of the set bits, lowest first; a bit without a known meaning is named by its number."""
    known = {fault.value: fault.name.lower() for fault in ServoFault if fault.name}
    return tuple(known.get(1 << n, f"bit {n}") for n in range(8) if bits & (1 << n))


def fault_remedies(bits: int) -> str:
    """Meaning and remedy of the set bits, for messages."""
    known = {fault.value: remedy for fault, remedy in _REMEDIES.items()}
    return "; ".join(
        f"{name}: {known.get(1 << n, 'its meaning is not documented')}"
        for n in range(8)
        if bits & (1 << n)
        for name in fault_names(1 << n)
    )
