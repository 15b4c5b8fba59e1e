# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulate the emulated arm's servos without their bus, in simulated time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from smolvla_ros.arm.registers import register
from smolvla_ros.arrays import FloatArray
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.simulation.servo import EmulatedServo
from smolvla_ros.units import MotorCalibration

SAMPLE_NS = 10_000_000  # interval of the recorded positions
ACCELERATION = 254  # value of the register, as the driver and LeRobot set it


class SimulatedArm:
    """Six servos that start at `start_rad`; `trace` has their unrounded positions every SAMPLE_NS."""

    def __init__(
        self, robot: RobotSpec, calibration: Mapping[str, MotorCalibration], start_rad: FloatArray
    ) -> None:
        self._units = robot.units(calibration)
        self._servos = [
            EmulatedServo(calibration[joint.name], units.rad_to_ticks(float(start)))
            for joint, units, start in zip(robot.joints, self._units, start_rad, strict=True)
        ]
        for servo in self._servos:
            self._write(servo, "Torque_Enable", 1)
            self._write(servo, "Acceleration", ACCELERATION)
        self.go_to(start_rad)
        self.now_ns = 0
        self.trace: list[FloatArray] = []

    def go_to(self, positions_rad: FloatArray) -> None:
        """Set the servos' goals (joints,) rad."""
        self.goal_rad = positions_rad
        for servo, units, position in zip(self._servos, self._units, positions_rad, strict=True):
            self._write(servo, "Goal_Position", units.rad_to_ticks(float(position)))

    def advance_to(self, now_ns: int) -> None:
        while self.now_ns < now_ns:
            until_ns = min(now_ns, (self.now_ns // SAMPLE_NS + 1) * SAMPLE_NS)
            for servo in self._servos:
                servo.advance((until_ns - self.now_ns) / 1e9)
            self.now_ns = until_ns
            if until_ns % SAMPLE_NS == 0:
                self.trace.append(self._positions_rad())

    def joints(self) -> Joints:
        """The joint states as the driver reads them, in whole ticks."""
        ticks = (float(round(servo.position_ticks)) for servo in self._servos)
        positions = [units.ticks_to_rad(tick) for units, tick in zip(self._units, ticks)]
        return Joints(self.now_ns, np.array(positions), np.zeros(len(positions)))

    def _positions_rad(self) -> FloatArray:
        pairs = zip(self._units, self._servos)
        return np.array([units.ticks_to_rad(servo.position_ticks) for units, servo in pairs])

    @staticmethod
    def _write(servo: EmulatedServo, name: str, value: int) -> None:
        entry = register(name)
        servo.write(entry.address, entry.encode(value))
