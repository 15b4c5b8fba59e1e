# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command line options made of the fields of a config dataclass: those of the launch files, or of the policy node."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.preflight.unit_evidence import with_units
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.settings import SettingError
from smolvla_ros.share import InstallationError, find_robot_file
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.units import CalibrationError, MotorCalibration, load_calibration

# The options of tools that convert between radians and LeRobot's units.
ROBOT = ("robot", "calibration", "units")
# The options of tools that serve a checkpoint.
CHECKPOINT = (
    "revision",
    "dataset",
    "stats",
    "backbone",
    "normalization",
    "device",
    "dtype",
    "compile",
    "threads",
)
S = TypeVar("S")
Program = Callable[[Sequence[str] | None], int]  # from the words after its name to its exit code


class UsageError(ValueError):
    """The command line is wrong; the message names the option, its value and the remedy."""


USAGE_ERRORS = (UsageError, SettingError, RobotSpecError, CalibrationError, InstallationError)


def add_options(parser: argparse.ArgumentParser, *names: str, of: type[Any] = SuiteOptions) -> None:
    """Add `--name` for these fields of a config, with their defaults; a tuple is given as several words.

    What is true or false is given without a word: --name or --no-name.
    """
    known = {entry.name: entry for entry in fields(of)}
    for name in names:
        entry = known[name]
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            default=entry.default,
            help=entry.metadata["description"],
            **_values(entry),
        )


def _values(entry: Field[Any]) -> dict[str, Any]:
    """Which words an option takes, as argparse wants to know it."""
    if isinstance(entry.default, bool):
        return {"action": argparse.BooleanOptionalAction}
    is_tuple, choices = isinstance(entry.default, tuple), entry.metadata["choices"]
    return {
        "type": str if is_tuple else type(entry.default),
        "nargs": "+" if is_tuple else None,
        "choices": [choice for choice in choices if choice] or None,
        "metavar": None if choices else entry.name.upper(),
    }


def add_settings(parser: argparse.ArgumentParser, of: type[Any]) -> None:
    """`add_options` for all fields of a config."""
    add_options(parser, *(entry.name for entry in fields(of)), of=of)


def settings_of(options: argparse.Namespace, of: type[S]) -> S:
    """A config of what the command line gives for all its fields; raises SettingError."""
    names = [entry.name for entry in fields(cast(Any, of))]
    return of(**{name: getattr(options, name) for name in names})


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


def add_worker_options(parser: argparse.ArgumentParser, jobs: int | None = os.cpu_count()) -> None:
    """Add the options of a `worker_pool`; `jobs`: the default."""
    parser.add_argument(
        "--jobs", type=positive_int, default=jobs or 1, metavar="N", help="processes; %(default)s"
    )
    parser.add_argument(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="use the cores of this Ray cluster in place of --jobs: auto or host:port; all its nodes need the same "
        "files under the same paths, and this package",
    )


def positive_int(text: str) -> int:
    """The type of an option that takes a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got '{text}'")
    return int(text)


def new_file(text: str) -> Path:
    """The type of an option that names a file to write: its folder is missed at once, not after all was computed."""
    file = Path(text)
    if not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder '{file.parent}'; make it, or give another file")
    return file


def exit_on_errors(name: str, interrupted: str = "interrupted") -> Callable[[Program], Callable[..., int]]:
    """Decorate the main() of a program: its errors become a line on stderr and an exit code, never a traceback.

    Exit code 2: option, robot or calibration are wrong; 1: another error of this package, whose message names the
    remedy, or of a file; 130: Ctrl-C, which prints `interrupted`; 3: any other error, a fault of the program.
    """

    def decorate(main: Program) -> Callable[..., int]:
        @wraps(main)
        def guarded(arguments: Sequence[str] | None = None) -> int:
            try:
                return main(arguments)
            except KeyboardInterrupt:
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one, while the interpreter ends
                text, code = interrupted, 130
            except USAGE_ERRORS as error:
                text, code = str(error), 2
            except Exception as error:
                text, code = _error_text(error), 1 if _is_expected(error) else 3
            print(f"{name}: {text}", file=sys.stderr)
            return code

        return guarded

    return decorate


def _is_expected(error: Exception) -> bool:
    """Whether the message of an error is written for users: those of this package, and of files and devices."""
    return isinstance(error, (OSError, EOFError)) or type(error).__module__.startswith("smolvla_ros.")


def _error_text(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "cancelled, its input has ended"
    if _is_expected(error):
        return str(error)
    calls = [
        f"{Path(call.filename).name}:{call.lineno}" for call in traceback.extract_tb(error.__traceback__)
    ]
    return (
        f"{type(error).__name__}: {error}. This is an error of the program; please report it with the command and "
        f"this: {' > '.join(calls)}"
    )
