# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command line options made of the fields of a config dataclass: those of the launch files, or of the policy node."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from smolvla_ros.dataset.errors import DataError
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.preflight.unit_evidence import with_units
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.share import InstallationError, find_robot_file
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.units import CalibrationError, MotorCalibration, load_calibration

# The options of tools that convert between radians and LeRobot's units.
ROBOT = ("robot", "calibration", "units")


class UsageError(ValueError):
    """The command line is wrong; the message names the option, its value and the remedy."""


def add_options(parser: argparse.ArgumentParser, *names: str, of: type[Any] = SuiteOptions) -> None:
    """Add `--name` for these fields of a config, with their defaults; a tuple is given as several words."""
    known = {entry.name: entry for entry in fields(of)}
    for name in names:
        entry = known[name]
        is_tuple = isinstance(entry.default, tuple)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            default=entry.default,
            type=str if is_tuple else type(entry.default),
            nargs="+" if is_tuple else None,
            choices=[choice for choice in entry.metadata["choices"] if choice] or None,
            metavar=None if entry.metadata["choices"] else name.upper(),
            help=entry.metadata["description"],
        )


def policy_config(options: argparse.Namespace, **given: Any) -> PolicyConfig:
    """The config of a policy: `given`, then what the command line gives, then the defaults. Raises SettingError."""
    names = {entry.name for entry in fields(PolicyConfig)} & set(vars(options)) - {"robot"}
    values = {name: getattr(options, name) for name in names}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return PolicyConfig(**{**{name: value for name, value in values.items() if value != ""}, **given})


def load_robot(options: argparse.Namespace) -> RobotSpec:
    """The robot of --robot, with the units of --units if the tool has that option; raises RobotSpecError."""
    robot = RobotSpec.load(find_robot_file(options.robot))
    return with_units(robot, getattr(options, "units", ""))


def load_robot_and_calibration(
    options: argparse.Namespace,
) -> tuple[RobotSpec, dict[str, MotorCalibration] | None]:
    """The robot as by `load_robot`, and the calibration of --calibration or None; raises CalibrationError too."""
    robot = load_robot(options)
    file = options.calibration
    return robot, load_calibration(file, robot.joint_names) if file else None


@contextmanager
def exit_on_errors(program: str, interrupted: str = "interrupted") -> Iterator[None]:
    """End the program with the message of an error that the user can correct; other errors show their traceback.

    Exit code 2: robot or calibration are wrong, 1: data cannot be read or written, 130: ctrl-c, which prints
    `interrupted`.
    """
    usage = (RobotSpecError, CalibrationError, InstallationError)
    try:
        yield
    except (*usage, DataError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, usage) else 1)
    except KeyboardInterrupt:
        print(f"{program}: {interrupted}", file=sys.stderr)
        sys.exit(130)
