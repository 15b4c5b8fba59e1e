# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options that command lines share with the launch files, made from SuiteOptions: each is defined once."""

from __future__ import annotations

import argparse
from dataclasses import fields

from smolvla_ros.policy.preflight.unit_evidence import with_units
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import find_robot_file
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.units import MotorCalibration, load_calibration

# What a tool needs that converts between radians and LeRobot's units:
ROBOT = ("robot", "calibration", "units")


def add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add `--name` for these fields of SuiteOptions, all of them text that is empty unless given."""
    known = {entry.name: entry for entry in fields(SuiteOptions)}
    for name in names:
        entry = known[name]
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            default="",
            choices=[choice for choice in entry.metadata["choices"] if choice] or None,
            metavar=None if entry.metadata["choices"] else name.upper(),
            help=entry.metadata["description"],
        )


def load_robot(options: argparse.Namespace) -> RobotSpec:
    """The robot that --robot names, in the units of --units if there is such; raises RobotSpecError."""
    robot = RobotSpec.load(find_robot_file(options.robot))
    return with_units(robot, getattr(options, "units", ""))


def load_robot_and_calibration(
    options: argparse.Namespace,
) -> tuple[RobotSpec, dict[str, MotorCalibration] | None]:
    """As `load_robot`, and what --calibration names, None without it; raises CalibrationError too."""
    robot = load_robot(options)
    file = options.calibration
    return robot, load_calibration(file, robot.joint_names) if file else None
