# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Guides a person through the calibration of an arm, and copies calibrations between file and servos.

The EEPROM is written last and only after a confirmation; until then the arm keeps its calibration.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from rich.live import Live
from rich.table import Table

from smolvla_ros.arm import calibration as calibrating
from smolvla_ros.arm.feetech import BusError, FeetechBus
from smolvla_ros.robot import RobotSpec
from smolvla_ros.terminal.prompt import Prompt
from smolvla_ros.units import (
    RAD_PER_TICK,
    CalibrationError,
    MotorCalibration,
    load_calibration,
    save_calibration,
)

POLL_PERIOD_S = 0.02  # a joint must not make half a turn between two readings
MIN_RANGE_SHARE = 0.5  # share of the URDF's range that each joint must have been moved through
FULL_TURN_JOINTS = ("wrist_roll",)  # has no mechanical stops; LeRobot gives it the whole turn
MIDDLE_POSE = "upper arm upright, forearm level, wrist straight, gripper half open"

Calibration = Mapping[str, MotorCalibration]


class CalibrationDialogue:
    """Methods return whether they did what they are named after; they raise BusError and CalibrationError, and EOFError
    when standard input ends.

    skip_questions: write files and EEPROM without asking.
    """

    def __init__(self, robot: RobotSpec, bus: FeetechBus, skip_questions: bool = False) -> None:
        self._robot, self._bus, self._skip_questions = robot, bus, skip_questions
        self._ids = {joint.name: joint.servo_id for joint in robot.joints}
        self._prompt = Prompt()

    def calibrate(self, path: Path) -> bool:
        """Guided calibration into EEPROM and file."""
        calibration = self._record_calibration()
        _print_calibration(calibration)
        note = ", which exists" if path.exists() else ""
        if not self._confirm(f"Write this into the servos' EEPROM and {path}{note}?"):
            return False
        self._write_eeprom(calibration)
        _save(path, calibration)
        return True

    def copy_from_servos(self, path: Path) -> bool:
        """The servos' calibration into the file."""
        calibration = calibrating.read_eeprom(self._bus, self._ids)
        empty = [name for name, motor in calibration.items() if motor.range_min >= motor.range_max]
        if empty:
            raise CalibrationError(f"the servos of {', '.join(empty)} hold no range; calibrate the arm")
        _print_calibration(calibration)
        if path.exists() and not self._confirm(f"Write this into {path}, which exists?"):
            return False
        _save(path, calibration)
        return True

    def copy_to_servos(self, path: Path) -> bool:
        """The file's calibration into the servos."""
        calibration = load_calibration(path, self._ids)
        self._robot.units(calibration)  # raises CalibrationError if the servo ids differ
        _print_calibration(calibration)
        if not self._confirm("Write this into the servos' EEPROM? Torque comes off where it differs."):
            return False
        self._write_eeprom({name: calibration[name] for name in self._ids})
        return True

    def verify(self, path: Path) -> bool:
        """Print each disagreement between file, servos, pose and URDF; True if there is none."""
        file = load_calibration(path, self._ids)
        eeprom = calibrating.read_eeprom(self._bus, self._ids)
        ticks = calibrating.read_positions(self._bus, self._ids)
        _print_calibration(file)
        found = calibrating.calibration_problems(self._robot, file, eeprom, ticks)
        agreement = f"{path}, servos, pose and {self._robot.urdf_path.name} agree"
        print("\n".join([*found, f"{len(found)} disagreements" if found else agreement]))
        return not found

    def _record_calibration(self) -> dict[str, MotorCalibration]:
        """Middle pose and ranges, from an arm that the person moves by hand."""
        self._prompt.ask("Torque comes off now and the arm drops: hold it, then press ENTER.")
        calibrating.disable_torque(self._bus, self._ids)
        eeprom = calibrating.read_eeprom(self._bus, self._ids)
        offsets = {name: motor.homing_offset for name, motor in eeprom.items()}
        recorder = calibrating.RangeRecorder(self._ids, offsets, FULL_TURN_JOINTS)
        self._prompt.ask(f"Move the arm to its middle pose ({MIDDLE_POSE}), then press ENTER.")
        positions = calibrating.read_positions(self._bus, self._ids)
        if missing := [name for name in self._ids if name not in positions]:
            raise BusError(f"no position from {', '.join(missing)}; check cables and power")
        recorder.set_middle(positions)
        others = ", ".join(FULL_TURN_JOINTS)
        print(f"Now move every joint but {others} slowly from stop to stop, then press ENTER.", flush=True)
        while True:
            self._observe_until_enter(recorder)
            too_small = self._too_small_ranges(recorder)
            if not too_small:
                return recorder.calibration()
            print(f"Not far enough yet: {'; '.join(too_small)}. Go on, then press ENTER.", flush=True)

    def _observe_until_enter(self, recorder: calibrating.RangeRecorder) -> None:
        """Record the joints' ranges until ENTER is pressed; on a terminal they are shown live."""
        with Live(auto_refresh=False) if sys.stdout.isatty() else nullcontext() as live:
            while self._prompt.read_line(POLL_PERIOD_S) is None:
                recorder.observe(calibrating.read_positions(self._bus, self._ids))
                if live:
                    live.update(_range_table(recorder), refresh=True)

    def _too_small_ranges(self, recorder: calibrating.RangeRecorder) -> list[str]:
        """The joints that were moved through too little of their range, as text."""
        found = []
        for joint in self._robot.joints:
            moved = (recorder.high[joint.name] - recorder.low[joint.name]) * RAD_PER_TICK
            expected = joint.upper_rad - joint.lower_rad
            if joint.name not in FULL_TURN_JOINTS and moved < MIN_RANGE_SHARE * expected:
                found.append(f"{joint.name} {moved:.2f} of about {expected:.2f} rad")
        return found

    def _write_eeprom(self, calibration: Calibration) -> None:
        changes = calibrating.write_eeprom(self._bus, calibration)
        print("\n".join(changes) if changes else "the servos hold it already")

    def _confirm(self, question: str) -> bool:
        if self._skip_questions or self._prompt.confirm(question):
            return True
        print("nothing was written")
        return False


def _save(path: Path, calibration: Calibration) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_calibration(path, calibration)
    print(f"calibration written to {path}")


def _print_calibration(calibration: Calibration) -> None:
    print(f"  {'joint':<14}{'servo':>6}{'offset':>8}{'min':>6}{'max':>6}")
    for name, motor in calibration.items():
        print(f"  {name:<14}{motor.id:>6}{motor.homing_offset:>8}{motor.range_min:>6}{motor.range_max:>6}")


def _range_table(recorder: calibrating.RangeRecorder) -> Table:
    """Ticks of each joint: the lowest, the present and the highest."""
    table = Table("joint", *(f"{title:>5}" for title in ("min", "now", "max")), box=None)
    for name, ticks in recorder.ticks.items():
        table.add_row(name, *(f"{value:>5}" for value in (recorder.low[name], ticks, recorder.high[name])))
    return table
