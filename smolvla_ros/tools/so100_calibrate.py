# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrates an SO-100/SO-101 as LeRobot does, or compares a calibration with the arm. Needs no ROS.

The calibration is stored in the file that LeRobot reads, in LeRobot's folder, and in the servos' EEPROM. The EEPROM is
written at the very end and after a question; until then the arm keeps its calibration.

    so100_calibrate --port /dev/serial/by-id/... --id my_arm                calibrate
    so100_calibrate --port /dev/serial/by-id/... --id my_arm --verify       compare file, servos, pose and URDF
    so100_calibrate --port /dev/serial/by-id/... --id my_arm --from-servos  write the file from the servos
    so100_calibrate --port /dev/serial/by-id/... --id my_arm --to-servos    write the servos from the file
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from smolvla_ros.arm.calibration import calibration_file, check_servos, find_calibration_file
from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.suite.command_line import add_options, exit_on_errors, load_robot
from smolvla_ros.terminal.calibration_dialogue import CalibrationDialogue


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


def run(options: argparse.Namespace, dialogue: CalibrationDialogue) -> bool:
    """Whether it was done, or all agrees."""
    if options.verify or options.to_servos:
        path = options.file or find_calibration_file(options.id, options.role)
        return dialogue.verify(path) if options.verify else dialogue.copy_to_servos(path)
    path = options.file or calibration_file(options.id, options.role)
    return dialogue.copy_from_servos(path) if options.from_servos else dialogue.calibrate(path)


@exit_on_errors("so100_calibrate", interrupted="cancelled")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    robot = load_robot(options)
    with closing(FeetechBus(options.port, options.baudrate)) as bus, bus.long_timeouts():
        bus.open()
        check_servos(bus, {joint.name: joint.servo_id for joint in robot.joints})
        return 0 if run(options, CalibrationDialogue(robot, bus, options.yes)) else 1


if __name__ == "__main__":
    sys.exit(main())
