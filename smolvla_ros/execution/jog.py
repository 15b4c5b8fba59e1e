# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moves single joints by steps: keys change the target, the command approaches it within the limits."""

from __future__ import annotations

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.execution.command_shaper import CommandShaper
from smolvla_ros.execution.teleoperation import TeleoperationConfig
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec

STEPS_RAD = (0.02, 0.1)  # fine, coarse
SETTINGS = TeleoperationConfig(max_step_rad=0.01, max_acceleration_rad_s2=4.0, soft_start_s=0.5)


class Jog:
    """The target that the keys have set, and the commands towards it. Time is an argument."""

    def __init__(self, robot: RobotSpec) -> None:
        self._robot = robot
        self._shaper = CommandShaper(SETTINGS, robot)
        self._target_rad: FloatArray | None = None  # None before the first step
        self.joints: Joints | None = None  # the newest measured ones
        self.joint, self.step_rad = 0, STEPS_RAD[0]

    def press(self, key: str) -> None:
        """Choose a joint (1 ..), move it (+ or -), change the step (f) or stop (space); other keys are ignored."""
        if key.isdecimal() and 1 <= int(key) <= len(self._robot.joints):
            self.joint = int(key) - 1
        elif key == "f":
            self.step_rad = STEPS_RAD[self.step_rad == STEPS_RAD[0]]
        elif key in "+=-" and self.joints is not None:
            if self._target_rad is None:
                self._target_rad = self.joints.positions_rad.copy()
            joint = self._robot.joints[self.joint]
            target_rad = self._target_rad[self.joint] + (-self.step_rad if key == "-" else self.step_rad)
            self._target_rad[self.joint] = np.clip(target_rad, joint.lower_rad, joint.upper_rad)
        elif key == " ":
            last_rad = self._shaper.last_rad
            # a copy: keys change it in place
            self._target_rad = None if last_rad is None else last_rad.copy()

    def command(self, now_ns: int, reason_to_hold: str = "") -> tuple[FloatArray | None, str]:
        """The command (joints,) rad of this control period or None, and a note about it for the user."""
        stale = self.joints is None or now_ns - self.joints.stamp_ns > SETTINGS.stale_after_s * NANOSECONDS
        reason = reason_to_hold or ("no joint states; is the arm node running?" if stale else "")
        if not reason and self.joints is not None and self._shaper.last_rad is None:
            reason = self._shaper.start_problem(self.joints.positions_rad)
        if reason:
            self._shaper.start_over()
            self._target_rad = None
            return None, reason
        if self._target_rad is None or self.joints is None:
            return None, "no step yet"
        self._shaper.start_at(self.joints.positions_rad)
        self._shaper.move_towards(self._target_rad, now_ns)
        command = self._shaper.last_rad
        is_there = command is not None and np.allclose(command, self._target_rad)
        return command, "at the target" if is_there else "moving"

    def status_line(self, note: str) -> str:
        """The chosen joint, its position, target and step, and the note of `command`."""
        name = self._robot.joint_names[self.joint]
        at = "-" if self.joints is None else f"{self.joints.positions_rad[self.joint]:+.3f}"
        to = "-" if self._target_rad is None else f"{self._target_rad[self.joint]:+.3f}"
        return f"{self.joint + 1} {name:<14} at {at}  to {to} rad  step {self.step_rad:.2f}  {note}"
