# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gives the servos of a new SO-100/SO-101 their ids and baud rate, one servo at a time. Needs no ROS.

Servos come from the factory with the same id, so only one of them may be on the bus. It is looked for at every id and
baud rate that there is; more than one is refused.

    so100_setup_motors --port /dev/serial/by-id/...
    so100_setup_motors --port /dev/serial/by-id/... --joint elbow_flex      this one only
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing, suppress

from smolvla_ros.arm.feetech import BusError, CorruptReplyError, FeetechBus, NoAnswerError
from smolvla_ros.arm.registers import BAUD_RATES, STS3215_MODEL_NUMBER
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.share import InstallationError
from smolvla_ros.suite.command_line import add_options, load_robot
from smolvla_ros.terminal.keys import Prompt

HIGHEST_ID = 253
SCAN_TIMEOUT_S = 0.012  # two short packets at the slowest rate, and some time in the USB adapter
LOOKS = 2  # at every rate and id, before there is no servo: one answer may be lost, or a busy computer hear it late


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
        "--highest-id",
        type=int,
        default=HIGHEST_ID,
        help="look no further than this id (default: %(default)s)",
    )
    add("--yes", action="store_true", help="do not ask before a servo's EEPROM is written")
    return parser


def scan(port: str, highest_id: int) -> tuple[int, list[int]]:
    """The first baud rate at which servos answer and their ids; raises BusError when none or a mixture does."""
    for baudrate in BAUD_RATES * LOOKS:
        bus = FeetechBus(port, baudrate, timeout_s=SCAN_TIMEOUT_S, retries=0)
        bus.open()
        try:
            found = []
            for servo_id in range(highest_id + 1):
                try:
                    bus.read(servo_id, "ID")  # a ping could be answered by the adapter's echo
                except NoAnswerError:
                    continue
                except CorruptReplyError as error:
                    raise BusError(
                        f"{error}; or several servos have the id {servo_id}, connect only one"
                    ) from error
                found.append(servo_id)
        finally:
            bus.close()
        if found:
            return baudrate, found
    raise BusError(f"no servo answers on {port} at any baud rate; check its cable and the power supply")


def set_up(port: str, baudrate: int, servo_id: int, new_id: int) -> None:
    """Give the one servo on the bus its id and 1 Mbit/s; raises BusError unless it then answers so."""
    with closing(FeetechBus(port, baudrate)) as bus, bus.patient():
        bus.open()
        model = bus.read(servo_id, "Model_Number")
        if model != STS3215_MODEL_NUMBER:
            raise BusError(
                f"servo {servo_id} is model {model}, an SO-100 has STS3215 ({STS3215_MODEL_NUMBER})"
            )
        bus.write(servo_id, "Torque_Enable", 0)
        bus.write(servo_id, "Lock", 0)
        _change(bus, servo_id, "ID", new_id)
        _change(bus, new_id, "Baud_Rate", 0)
    with closing(FeetechBus(port, BAUD_RATES[0])) as bus, bus.patient():
        bus.open()
        bus.write(new_id, "Lock", 1)


def _change(bus: FeetechBus, servo_id: int, register: str, value: int) -> None:
    """Write where the acknowledgement may already come from the new id or at the new rate; what follows tells."""
    if bus.read(servo_id, register) != value:
        with suppress(NoAnswerError, CorruptReplyError):
            bus.write(servo_id, register, value)


def run(options: argparse.Namespace, robot: RobotSpec, prompt: Prompt) -> int:
    """Exit code. Raises BusError."""
    ids = {
        joint.name: joint.servo_id for joint in reversed(robot.joints)
    }  # from the gripper down, as it is built
    if options.joint and options.joint not in ids:
        raise RobotSpecError(
            f"--joint: robot '{robot.name}' has no joint '{options.joint}'; it has {', '.join(ids)}"
        )
    for name, new_id in ids.items():
        if options.joint in (None, name):
            prompt.ask(f"Connect the servo of {name} to the controller, and no other; then press ENTER.")
            baudrate, found = scan(options.port, options.highest_id)
            if len(found) > 1:
                raise BusError(f"servos {', '.join(map(str, found))} answer; connect that of {name} alone")
            print(f"servo {found[0]} at {baudrate} baud")
            question = f"Make it servo {new_id} ({name}) at {BAUD_RATES[0]} baud?"
            if not options.yes and not prompt.confirm(question):
                print("nothing was written")
                return 1
            set_up(options.port, baudrate, found[0], new_id)
            print(f"{name} is servo {new_id}", flush=True)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        robot = load_robot(options)
        return run(options, robot, Prompt())
    except (BusError, RobotSpecError, InstallationError) as error:
        print(f"so100_setup_motors: {error}", file=sys.stderr)
        return 1
    except (EOFError, KeyboardInterrupt):
        print("\nso100_setup_motors: given up", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
