# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrates an SO-100/SO-101 as LeRobot does, and says whether a calibration still fits. Needs no ROS.

The calibration is the file that LeRobot reads, in LeRobot's folder, and the same in the servos' EEPROM. The EEPROM is
written at the very end and after a question; until then the arm stays as it was.

    so100_calibrate --port /dev/serial/by-id/... --id my_arm                calibrate
    so100_calibrate --port /dev/serial/by-id/... --id my_arm --verify       compare file, servos, pose and URDF
    so100_calibrate --port /dev/serial/by-id/... --id my_arm --from-servos  write the file from the servos
    so100_calibrate --port /dev/serial/by-id/... --id my_arm --to-servos    write the servos from the file
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from smolvla_ros.arm import calibration as calibrating
from smolvla_ros.arm.feetech import BusError, FeetechBus
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.suite.command_line import add_options, load_robot
from smolvla_ros.terminal.keys import Prompt
from smolvla_ros.units import (
    RAD_PER_TICK,
    CalibrationError,
    MotorCalibration,
    load_calibration,
    save_calibration,
)

LOOK_PERIOD_S = 0.02  # a joint must not make half a turn between two looks
LEAST_SHARE = 0.5  # of the URDF's range that a joint must have gone through
FULL_TURN = ("wrist_roll",)  # has no stops, LeRobot gives it the whole turn
MIDDLE_POSE = "upper arm upright, forearm level, wrist straight, gripper half open"


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="so100_calibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit code: 0 done, or all agrees; 1 not done, or something disagrees; 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("--port", required=True, help="serial port of the servo bus, best as /dev/serial/by-id/...")
    add("--baudrate", type=int, default=1_000_000, help="default: %(default)s")
    add_options(parser, "robot")
    add("--role", choices=("follower", "leader"), default="follower", help="default: %(default)s")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--id", help="the arm's id: the file is <id>.json in LeRobot's calibration folder")
    where.add_argument("--file", type=Path, help="a calibration file anywhere else")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--verify", action="store_true", help="compare only; nothing is written")
    mode.add_argument("--from-servos", action="store_true", help="write the file from the servos' EEPROM")
    mode.add_argument("--to-servos", action="store_true", help="write the servos' EEPROM from the file")
    add("--yes", action="store_true", help="do not ask before files and EEPROM are written")
    return parser


class Calibrate:
    """One run of the program: the arm, its file, and the person in front of it."""

    def __init__(self, options: argparse.Namespace, robot: RobotSpec, bus: FeetechBus) -> None:
        self._options, self._robot, self._bus = options, robot, bus
        self._ids = {joint.name: joint.servo_id for joint in robot.joints}
        self._prompt = Prompt()

    def run(self) -> int:
        """Exit code. Raises BusError, CalibrationError, or EOFError when nobody answers any more."""
        calibrating.check_servos(self._bus, self._ids)
        if self._options.verify:
            return self._verify()
        if self._options.from_servos:
            return self._export()
        if self._options.to_servos:
            return self._import()
        return self._calibrate()

    def _calibrate(self) -> int:
        calibration, path = self._guide(), self._file_to_write()
        self._show(calibration)
        if not self._may(f"Write this into the servos' EEPROM and {path}{self._replaced(path)}?"):
            return 1
        self._write(calibration)
        self._save(path, calibration)
        return 0

    def _export(self) -> int:
        calibration, path = calibrating.read_eeprom(self._bus, self._ids), self._file_to_write()
        empty = [name for name, motor in calibration.items() if motor.range_min >= motor.range_max]
        if empty:
            raise CalibrationError(f"the servos of {', '.join(empty)} hold no range; calibrate the arm")
        self._show(calibration)
        if path.exists() and not self._may(f"Write this into {path}{self._replaced(path)}?"):
            return 1
        self._save(path, calibration)
        return 0

    def _import(self) -> int:
        calibration = load_calibration(self._file_to_read(), self._ids)
        self._robot.units(calibration)  # raises if the servo ids are others
        self._show(calibration)
        if not self._may("Write this into the servos' EEPROM? Torque comes off where it differs."):
            return 1
        self._write({name: calibration[name] for name in self._ids})
        return 0

    def _guide(self) -> dict[str, MotorCalibration]:
        """Middle pose and ranges, by the hands of the person."""
        self._prompt.ask("Torque comes off now and the arm drops: hold it, then press ENTER.")
        calibrating.release(self._bus, self._ids)
        held = calibrating.read_eeprom(self._bus, self._ids)
        recorder = calibrating.RangeRecorder(
            self._ids, {name: motor.homing_offset for name, motor in held.items()}, FULL_TURN
        )
        self._prompt.ask(f"Move the arm to its middle pose ({MIDDLE_POSE}), then press ENTER.")
        positions = calibrating.read_positions(self._bus, self._ids)
        if missing := [name for name in self._ids if name not in positions]:
            raise BusError(f"no position from {', '.join(missing)}; check cables and power")
        recorder.middle(positions)
        print(
            f"Now move every joint but {', '.join(FULL_TURN)} slowly from stop to stop, then press ENTER.",
            flush=True,
        )
        while True:
            self._watch(recorder)
            short = self._short(recorder)
            if not short:
                return recorder.calibration()
            print(f"Not far enough yet: {'; '.join(short)}. Go on, then press ENTER.", flush=True)

    def _watch(self, recorder: calibrating.RangeRecorder) -> None:
        """Follow the joints until ENTER, shown live on a terminal."""
        live, drawn = sys.stdout.isatty(), False
        if live:
            print(f"  {'joint':<14}{'min':>6} {'now':>6} {'max':>6}")
        while self._prompt.line(LOOK_PERIOD_S) is None:
            recorder.observe(calibrating.read_positions(self._bus, self._ids))
            if live:
                if drawn:
                    print(f"\033[{len(self._ids)}F", end="")
                for name in self._ids:
                    print(
                        f"  {name:<14}{recorder.low[name]:>6} {recorder.ticks[name]:>6} {recorder.high[name]:>6}\033[K"
                    )
                drawn = True

    def _short(self, recorder: calibrating.RangeRecorder) -> list[str]:
        """Joints that went through too little of their range, in words."""
        short = []
        for joint in self._robot.joints:
            moved = (recorder.high[joint.name] - recorder.low[joint.name]) * RAD_PER_TICK
            wanted = joint.upper_rad - joint.lower_rad
            if joint.name not in FULL_TURN and moved < LEAST_SHARE * wanted:
                short.append(f"{joint.name} {moved:.2f} of about {wanted:.2f} rad")
        return short

    def _verify(self) -> int:
        path = self._file_to_read()
        file = load_calibration(path, self._ids)
        eeprom = calibrating.read_eeprom(self._bus, self._ids)
        ticks = calibrating.read_positions(self._bus, self._ids)
        self._show(file)
        found = calibrating.disagreements(self._robot, file, eeprom, ticks)
        for line in found:
            print(line)
        print(
            f"{len(found)} disagreements"
            if found
            else f"{path}, servos, pose and {self._robot.urdf_path.name} agree"
        )
        return 1 if found else 0

    def _write(self, calibration: Mapping[str, MotorCalibration]) -> None:
        changes = calibrating.write_eeprom(self._bus, calibration)
        print("\n".join(changes) if changes else "the servos hold it already")

    def _save(self, path: Path, calibration: Mapping[str, MotorCalibration]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_calibration(path, calibration)
        print(f"calibration written to {path}")

    def _replaced(self, path: Path) -> str:
        return ", which exists" if path.exists() else ""

    def _may(self, question: str) -> bool:
        if self._options.yes or self._prompt.confirm(question):
            return True
        print("nothing was written")
        return False

    def _show(self, calibration: Mapping[str, MotorCalibration]) -> None:
        print(f"  {'joint':<14}{'servo':>6}{'offset':>8}{'min':>6}{'max':>6}")
        for name, motor in calibration.items():
            print(
                f"  {name:<14}{motor.id:>6}{motor.homing_offset:>8}{motor.range_min:>6}{motor.range_max:>6}"
            )

    def _file_to_read(self) -> Path:
        options = self._options
        return options.file or calibrating.find_calibration_file(options.id, options.role)

    def _file_to_write(self) -> Path:
        options = self._options
        return options.file or calibrating.calibration_file(options.id, options.role)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        robot = load_robot(options)
        with closing(FeetechBus(options.port, options.baudrate)) as bus, bus.patient():
            bus.open()
            return Calibrate(options, robot, bus).run()
    except (BusError, CalibrationError, RobotSpecError, OSError) as error:
        print(f"so100_calibrate: {error}", file=sys.stderr)
        return 1
    except (EOFError, KeyboardInterrupt):
        print("\nso100_calibrate: given up", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
