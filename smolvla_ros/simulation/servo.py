# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One emulated STS3215: its control table, and a shaft that moves by the registers.

EEPROM is kept without power. The shaft is a first-order lag with limited speed and acceleration. Gravity and end stops
are optional; without them the shaft stays in place when torque goes off. Time is an argument.
"""

from __future__ import annotations

import math
import random
import struct

from smolvla_ros.arm.registers import (
    CURRENT_UNIT_A,
    REGISTERS,
    STS3215_MODEL_NUMBER,
    TABLE_SIZE,
    encode_sign_magnitude,
    register,
)
from smolvla_ros.simulation.servo_protection import Protection
from smolvla_ros.units import TICKS_PER_TURN, MotorCalibration

MAX_SPEED_TICKS_S = 4.0 / (2 * math.pi) * TICKS_PER_TURN  # about 4 rad/s: an STS3215 at 7.4 V without load
ACCELERATION_UNIT = 100.0  # ticks/s^2
LAG_S = 0.04  # delay of the shaft behind a moving goal
STEP_S = 0.002
FALL_TICKS_S = 1500.0  # gearbox and gravity, torque off
DRIVE_PER_TICK = 1e-3  # drive for each tick of error and unit of P_Coefficient
SUPPLY_V = 7.4
ROOM_C = 28.0
HEATING_C = 45.0  # above the room, at full drive for long
HEATING_TIME_S = 300.0
STALL_CURRENT_A = 2.0

_FACTORY_SETTINGS = {
    "Firmware_Major_Version": 3,
    "Firmware_Minor_Version": 10,
    "Model_Number": STS3215_MODEL_NUMBER,
    "Return_Delay_Time": 250,
    "Response_Status_Level": 1,
    "Max_Temperature_Limit": 70,
    "Max_Voltage_Limit": 80,
    "Min_Voltage_Limit": 40,
    "Max_Torque_Limit": 1000,
    "Phase": 12,
    "Unloading_Condition": 44,
    "LED_Alarm_Condition": 47,
    "P_Coefficient": 32,
    "D_Coefficient": 32,
    "Minimum_Startup_Force": 16,
    "CW_Dead_Zone": 1,
    "CCW_Dead_Zone": 1,
    "Protection_Current": 500,
    "Angular_Resolution": 1,
    "Protective_Torque": 20,
    "Protection_Time": 200,
    "Overload_Torque": 80,
    "Velocity_P_Coefficient": 10,
    "Overcurrent_Protection_Time": 200,
    "Velocity_I_Coefficient": 200,
    "Maximum_Acceleration": 254,
}
_TELEMETRY_START = REGISTERS["Present_Position"].address
_TELEMETRY = struct.Struct("<HHHBBxBBxxH")  # addresses 56 .. 70
_LASTING = frozenset(at for r in REGISTERS.values() if r.area != "sram" for at in range(r.address, r.end))
_READ_ONLY = frozenset(at for r in REGISTERS.values() if r.read_only for at in range(r.address, r.end))


def approach_speed(distance: float, braking: float) -> float:
    """The approach speed at this distance from the goal: constant `braking`, then exponential."""
    exponential = braking * LAG_S**2  # within this distance the exponential brakes less than `braking`
    if distance < exponential:
        return distance / LAG_S
    return math.sqrt(2 * braking * (distance - exponential / 2))


class EmulatedServo:
    """A servo with the calibration `motor`, its shaft at `position_ticks` as the servo reports it.

    Public attributes may be changed at any time: faults, load, temperature, supply.
    """

    def __init__(self, motor: MotorCalibration, position_ticks: float, seed: int = 0) -> None:
        self.silent = False  # neither receives nor sends, as without its cable
        self.corrupt_replies = 0  # number of next status packets with a wrong checksum
        self.fault_bits = 0  # additional ServoFault bits in its status
        self.gravity = 0.0  # load as a share of full drive, towards growing ticks
        self.stops = (-math.inf, math.inf)  # end stops, ticks
        self.supply_v = SUPPLY_V
        self.room_c = ROOM_C
        self.position_ticks = float(position_ticks)
        self.velocity_ticks_s = 0.0
        self.temperature_c = ROOM_C
        self._drive = 0.0  # share of the motor's full drive, -1 .. 1
        self._noise = random.Random(1000 * seed + motor.id)
        self._memory = bytearray(TABLE_SIZE)
        self._values: dict[str, int] = {}  # cache of decoded registers
        self._pending: tuple[int, bytes] | None = None
        self._protection = Protection(self.value)
        settings = _FACTORY_SETTINGS | {
            "ID": motor.id,
            "Min_Position_Limit": motor.range_min,
            "Max_Position_Limit": motor.range_max,
            "Homing_Offset": motor.homing_offset,
        }
        for name, value in settings.items():
            self._set(name, value)
        self._lasting = bytes(self._memory)
        self.power_cycle()

    def power_cycle(self) -> None:
        """Power off and on: EEPROM writes under Lock are lost, torque is off."""
        offset = self.value("Homing_Offset")
        for address in range(TABLE_SIZE):
            self._memory[address] = self._lasting[address] if address in _LASTING else 0
        self._values.clear()
        self._set("Torque_Limit", self.value("Max_Torque_Limit"))
        self._set("Lock", 1)
        self._pending = None
        self._protection.reset()
        self._shift(offset)

    def value(self, name: str) -> int:
        """The value of a register other than telemetry."""
        if name not in self._values:
            entry = register(name)
            self._values[name] = entry.decode(bytes(self._memory[entry.address : entry.end]))
        return self._values[name]

    @property
    def lasting(self) -> bytes:
        """The memory after the next power-off."""
        return self._lasting

    @lasting.setter
    def lasting(self, memory: bytes) -> None:
        self._lasting = memory
        self.power_cycle()

    @property
    def error_bits(self) -> int:
        """ServoFault bits of its status packets."""
        return self.fault_bits | self._protection.bits

    @property
    def at_rest(self) -> bool:
        """Nothing moves until a register is written."""
        aim = self._aim_ticks()
        return self.velocity_ticks_s == 0.0 and aim in (None, self.position_ticks)

    def read(self, address: int, length: int) -> bytes:
        """A block of the control table; addresses after its end read as zero."""
        end = address + length
        if address < _TELEMETRY_START + _TELEMETRY.size and end > _TELEMETRY_START:
            self._update_telemetry()
        return bytes(self._memory[address:end]).ljust(length, b"\0")

    def write(self, address: int, data: bytes) -> None:
        """Write a block; bytes of read-only registers are ignored; EEPROM is kept only if Lock is 0."""
        offset = self.value("Homing_Offset")
        lasting = bytearray(self._lasting)
        for at, byte in enumerate(data, start=address):
            if at in _READ_ONLY or at >= TABLE_SIZE:
                continue
            self._memory[at] = byte
            self._values.clear()
            if at in _LASTING and not self.value("Lock"):
                lasting[at] = byte
        self._lasting = bytes(lasting)
        if not self.value("Torque_Enable"):
            self._protection.reset()
        self._shift(offset)

    def prepare(self, address: int, data: bytes) -> None:
        """Keep a write until `act`."""
        self._pending = (address, data)

    def act(self) -> None:
        """Do the write of `prepare`, if any."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self.write(*pending)

    def advance(self, duration_s: float) -> None:
        """Simulate this duration."""
        if not self.at_rest:
            aim = self._aim_ticks()
            speed, acceleration = self._speed_and_acceleration()
            remaining_s = duration_s
            while remaining_s > 0 and not self.at_rest:
                self._step(min(STEP_S, remaining_s), aim, speed, acceleration)
                remaining_s -= STEP_S
        else:
            self._drive = self._standing_drive()
        self._warm_up(duration_s)

    def _warm_up(self, duration_s: float) -> None:
        """What the present drive does to temperature and protection."""
        settled_c = self.room_c + HEATING_C * self._drive**2
        self.temperature_c += (settled_c - self.temperature_c) * -math.expm1(-duration_s / HEATING_TIME_S)
        self._protection.advance(duration_s, self._drive, self.temperature_c, self.supply_v)

    def _speed_and_acceleration(self) -> tuple[float, float]:
        """Limits of the motion, ticks/s and ticks/s^2."""
        speed = self._limit("Goal_Velocity", 1.0, MAX_SPEED_TICKS_S if self._holds else FALL_TICKS_S)
        most = self.value("Maximum_Acceleration") * ACCELERATION_UNIT
        return speed, self._limit("Acceleration", ACCELERATION_UNIT, most)

    def _step(self, dt: float, aim: float | None, speed: float, acceleration: float) -> None:
        wanted = 0.0
        if aim is not None:
            error = aim - self.position_ticks
            if abs(error) < 0.5 and abs(self.velocity_ticks_s) < 20.0:
                self.position_ticks, self.velocity_ticks_s = aim, 0.0
                self._drive = self._standing_drive()
                return
            wanted = math.copysign(min(approach_speed(abs(error), 0.9 * acceleration), speed), error)
        change = max(-acceleration * dt, min(acceleration * dt, wanted - self.velocity_ticks_s))
        self.velocity_ticks_s += change
        self.position_ticks += self.velocity_ticks_s * dt
        if self._holds:
            drive = 0.3 * self.velocity_ticks_s / MAX_SPEED_TICKS_S + 0.5 * change / (acceleration * dt)
            self._drive = self._within_limit(drive - self.gravity)
        else:
            self._drive = 0.0

    @property
    def _holds(self) -> bool:
        """Whether torque is on and sufficient for the load."""
        most = self._protection.max_drive()
        return bool(self.value("Torque_Enable")) and most > 0 and most >= abs(self.gravity)

    def _aim_ticks(self) -> float | None:
        """Where the shaft moves to; None if it stays."""
        if self._holds:
            return min(max(self._sagging_ticks(), self.stops[0]), self.stops[1])
        if not self.gravity:
            return None
        end = self.stops[1] if self.gravity > 0 else self.stops[0]
        return end if math.isfinite(end) else None

    def _sagging_ticks(self) -> float:
        """The goal plus the deviation of a proportional controller under load, without end stops."""
        gain = max(1, self.value("P_Coefficient")) * DRIVE_PER_TICK
        return self._goal_ticks() + self.gravity / gain

    def _standing_drive(self) -> float:
        """Drive at rest, against gravity or an end stop."""
        if not self._holds:
            return 0.0
        gain = max(1, self.value("P_Coefficient")) * DRIVE_PER_TICK
        return self._within_limit(gain * (self._sagging_ticks() - self.position_ticks) - self.gravity)

    def _within_limit(self, drive: float) -> float:
        most = self._protection.max_drive()
        return max(-most, min(most, drive))

    def _goal_ticks(self) -> float:
        goal = float(self.value("Goal_Position"))
        low, high = self.value("Min_Position_Limit"), self.value("Max_Position_Limit")
        return goal if low == high == 0 else max(float(low), min(float(high), goal))

    def _limit(self, name: str, unit: float, most: float) -> float:
        """A limit register in ticks; 0 stands for `most`."""
        value = abs(self.value(name)) * unit
        return min(value, most) if value else most

    def _shift(self, old_offset: int) -> None:
        """Correct the reported position after a change of Homing_Offset; the shaft has not moved."""
        change = self.value("Homing_Offset") - old_offset
        if change:
            self.position_ticks = (self.position_ticks - change) % TICKS_PER_TURN

    def _update_telemetry(self) -> None:
        torque = bool(self.value("Torque_Enable"))
        drive = max(-1.0, min(1.0, self._drive + self._noise.gauss(0.0, 0.004))) if torque else 0.0
        _TELEMETRY.pack_into(
            self._memory,
            _TELEMETRY_START,
            encode_sign_magnitude(round(self.position_ticks), 15),
            encode_sign_magnitude(round(self.velocity_ticks_s), 15),
            encode_sign_magnitude(round(drive * 1000), 10),
            round((self.supply_v - 0.4 * abs(drive) + self._noise.gauss(0.0, 0.02)) * 10),
            round(self.temperature_c),
            self.error_bits,
            not self.at_rest,
            round(abs(drive) * STALL_CURRENT_A / CURRENT_UNIT_A),
        )

    def _set(self, name: str, value: int) -> None:
        entry = register(name)
        self._memory[entry.address : entry.end] = entry.encode(value)
        self._values.clear()
