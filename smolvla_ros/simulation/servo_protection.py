# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Protection of an emulated STS3215: overload, heat and supply faults, and the drive that remains."""

from __future__ import annotations

from collections.abc import Callable

from smolvla_ros.arm.registers import ServoFault

# As plain integers: the operators of an enum take most of the time here.
OVERLOAD, OVERHEAT, VOLTAGE = map(int, (ServoFault.OVERLOAD, ServoFault.OVERHEAT, ServoFault.VOLTAGE))


class Protection:
    """Protection of one servo; `setting` returns the value of one of its registers."""

    def __init__(self, setting: Callable[[str], int]) -> None:
        self.bits = 0  # ServoFault bits
        self._setting = setting
        self._overloaded_s = 0.0

    def reset(self) -> None:
        """Torque or power went off and on: resets the overload latch."""
        self.bits &= ~OVERLOAD
        self._overloaded_s = 0.0

    def advance(self, duration_s: float, drive: float, temperature_c: float, supply_v: float) -> None:
        """Simulate this duration at this drive (share of full drive), temperature and supply."""
        too_much = abs(drive) * 100 > self._setting("Overload_Torque")
        self._overloaded_s = self._overloaded_s + duration_s if too_much else 0.0
        if self._overloaded_s > self._setting("Protection_Time") * 0.01:
            self.bits |= OVERLOAD
        decivolts = supply_v * 10
        self._report(
            VOLTAGE,
            not self._setting("Min_Voltage_Limit") <= decivolts <= self._setting("Max_Voltage_Limit"),
        )
        self._report(OVERHEAT, temperature_c > self._setting("Max_Temperature_Limit"))

    def max_drive(self) -> float:
        """The largest share of full drive: reduced after an overload, 0 when too hot."""
        if self.bits & OVERHEAT & self._setting("Unloading_Condition"):
            return 0.0
        if self.bits & OVERLOAD:
            return self._setting("Protective_Torque") / 100
        return self._setting("Torque_Limit") / 1000

    def _report(self, fault: int, present: bool) -> None:
        self.bits = self.bits | fault if present else self.bits & ~fault
