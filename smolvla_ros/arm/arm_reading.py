# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One reading of all servos of an arm, as arrays in ROS units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from smolvla_ros.arm.registers import fault_names
from smolvla_ros.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class ArmReading:
    """Telemetry of all servos: arrays of shape (joints,) in the order of the arm's joints.

    Where `valid` is false the servo did not answer: its floats are NaN, its ticks -1, and `failures` has the
    reason.
    """

    valid: BoolArray
    positions_rad: FloatArray
    velocities_rad_s: FloatArray
    load: FloatArray  # share of the motor's full drive, -1 .. 1, signed along the URDF axis
    voltage_v: FloatArray
    temperature_c: FloatArray
    current_a: FloatArray
    moving: BoolArray
    torque: BoolArray  # whether the servo has its torque on
    position_ticks: IntArray
    goal_ticks: IntArray  # the goal that the servo holds
    torque_limits: IntArray  # 0.1 % of stall torque
    error_bits: IntArray  # ServoFault bits of the latest answer
    retries: IntArray  # transactions repeated
    communication_errors: IntArray  # transactions given up
    repeated_writes: IntArray  # goals and limits written again because the servo missed them
    failures: dict[str, str] = field(default_factory=dict)  # joint -> why it is not valid

    def faults(self, joint_names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Names of the hardware faults by joint, for the joints that report any."""
        pairs = zip(joint_names, self.error_bits, strict=True)
        return {name: fault_names(int(bits)) for name, bits in pairs if bits}
