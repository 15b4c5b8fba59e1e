# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gives the servos of a new SO-100/SO-101 their ids and baud rate, one servo at a time. Needs no ROS.

Servos come from the factory with the same id, so only one of them may be on the bus. It is searched at all ids and
baud rates; if several servos answer, nothing is written.

    so100_setup_motors --port /dev/serial/by-id/...
    so100_setup_motors --port /dev/serial/by-id/... --joint elbow_flex      only this one
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from smolvla_ros.arm.feetech import BusError
from smolvla_ros.arm.motor_setup import find_servos, set_id_and_baud_rate
from smolvla_ros.arm.registers import BAUD_RATES
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.suite.command_line import add_options, exit_on_errors, load_robot
from smolvla_ros.terminal.prompt import Prompt

HIGHEST_ID = 253


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="so100_setup_motors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit code: 0 done, 1 not done, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("--port", required=True, help="serial port of the servo bus, best as /dev/serial/by-id/...")
    add_options(parser, "robot")
    add("--joint", help="set up the servo of this joint only")
    add(
        "--highest-id", type=_servo_id, default=HIGHEST_ID, help="highest id to search (default: %(default)s)"
    )
    add("--yes", action="store_true", help="do not ask before a servo's EEPROM is written")
    return parser


def _servo_id(text: str) -> int:
    if not text.isdecimal() or int(text) > HIGHEST_ID:
        raise argparse.ArgumentTypeError(f"expected an id, 0 .. {HIGHEST_ID}, got '{text}'")
    return int(text)


def run(options: argparse.Namespace, robot: RobotSpec) -> bool:
    """Whether all servos were set up. Raises BusError, RobotSpecError for an unknown joint, and EOFError."""
    prompt = Prompt()
    # LeRobot sets the motors up in this order too, from the gripper to the base.
    ids = {joint.name: joint.servo_id for joint in reversed(robot.joints)}
    if options.joint and options.joint not in ids:
        raise RobotSpecError(
            f"--joint: robot '{robot.name}' has no joint '{options.joint}'; it has {', '.join(ids)}"
        )
    for name in [options.joint] if options.joint else ids:
        prompt.ask(f"Connect the servo of {name} to the controller, and no other; then press ENTER.")
        baudrate, found = find_servos(options.port, options.highest_id)
        if len(found) > 1:
            raise BusError(f"servos {', '.join(map(str, found))} answer; connect that of {name} alone")
        print(f"servo {found[0]} at {baudrate} baud")
        question = f"Make it servo {ids[name]} ({name}) at {BAUD_RATES[0]} baud?"
        if not options.yes and not prompt.confirm(question):
            print("nothing was written")
            return False
        set_id_and_baud_rate(options.port, baudrate, found[0], ids[name])
        print(f"{name} is servo {ids[name]}", flush=True)
    return True


@exit_on_errors("so100_setup_motors", interrupted="cancelled")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return 0 if run(options, load_robot(options)) else 1


if __name__ == "__main__":
    sys.exit(main())
