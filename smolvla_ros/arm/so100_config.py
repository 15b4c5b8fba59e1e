# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Servo settings of an SO-100."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smolvla_ros.arm.registers import CURRENT_UNIT_A
from smolvla_ros.settings import Settings, setting


@dataclass(frozen=True)
class So100Config(Settings):
    """Servo settings. Defaults are those of LeRobot, so that the arm moves as in the training data."""

    p_coefficient: int = setting(16, "position gain of the servos", bounds=(0, 254))
    i_coefficient: int = setting(0, "integral gain of the servos", bounds=(0, 254))
    d_coefficient: int = setting(32, "derivative gain of the servos", bounds=(0, 254))
    acceleration: int = setting(254, "acceleration of the servos, 100 ticks/s^2", bounds=(1, 254))
    gripper: str = setting("gripper", "joint that may stall on an object and gets the limits below")
    gripper_max_torque: float = setting(0.5, "share of stall torque", bounds=(0.0, 1.0))
    gripper_max_current_a: float = setting(1.625, "current at which it protects itself", bounds=(0.1, 3.2))
    gripper_overload_torque: float = setting(
        0.25, "share of stall torque that counts as overload", bounds=(0, 1)
    )
    outside_range_rad: float = setting(
        0.1, "how far outside its range a joint may stand when torque comes on", bounds=(0.0, 1.0)
    )

    max_step_rad: float = setting(
        2 * np.pi, "how far from its measured position a joint may be sent at once", bounds=(0.01, 2 * np.pi)
    )

    def eeprom(self, joint_name: str) -> dict[str, int]:
        """EEPROM registers of a joint's servo and their values."""
        registers = {
            "Return_Delay_Time": 0,
            "Operating_Mode": 0,
            "P_Coefficient": self.p_coefficient,
            "I_Coefficient": self.i_coefficient,
            "D_Coefficient": self.d_coefficient,
            "Maximum_Acceleration": 254,
        }
        if joint_name == self.gripper:
            registers["Max_Torque_Limit"] = round(self.gripper_max_torque * 1000)
            registers["Protection_Current"] = round(self.gripper_max_current_a / CURRENT_UNIT_A)
            registers["Overload_Torque"] = round(self.gripper_overload_torque * 100)
        return registers
