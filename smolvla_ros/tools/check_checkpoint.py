# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Says what a checkpoint expects of the robot and whether this robot is it, before anything moves.

Needs no ROS, no arm and no GPU, and reads no weights but their names and shapes. The policy node makes the same checks
when it is configured.

    check_checkpoint PATH --calibration my_arm.json
    ros2 topic echo --once /joint_states | check_checkpoint PATH --calibration my_arm.json --joint-states -
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from smolvla_ros.finding import Finding
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.preflight.preflight import Expectations, PreflightReport, RobotSetup, preflight
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.settings import SettingError
from smolvla_ros.share import InstallationError
from smolvla_ros.suite.command_line import ROBOT, add_options, load_robot_and_calibration, policy_config
from smolvla_ros.units import CalibrationError

GUTTER = 12
RED, YELLOW, GREEN, BOLD, PLAIN = "\033[31m", "\033[33m", "\033[32m", "\033[1m", "\033[0m"


class UsageError(ValueError):
    """The command line cannot be followed; the message names the option, its value and the remedy."""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="check_checkpoint",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 fits (there may be warnings), 1 does not, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("checkpoint", help="folder that LeRobot saved (pretrained_model), or a hub id")
    add_options(parser, *ROBOT, "revision", "dataset", "stats", "backbone")
    add_options(parser, "cameras", "max_pose_sigma", "normalization", of=PolicyConfig)
    add(
        "--camera-topics",
        nargs="+",
        default=[],
        metavar="NAME=TOPIC",
        help="which topic feeds which camera or image, such as camera1=/top/image_raw; a topic alone is named by its "
        "namespace",
    )
    add(
        "--joint-states",
        nargs="+",
        default=[],
        metavar="JOINT=RAD",
        help="where the arm stands, rad; or one file (- for standard input) with what "
        "`ros2 topic echo --once /joint_states` prints",
    )
    return parser


def check(options: argparse.Namespace) -> PreflightReport:
    """The report on what the command line names; raises UsageError."""
    try:
        robot, calibration = load_robot_and_calibration(options)
        robot.select_cameras(options.cameras)
        config = policy_config(options)
    except (RobotSpecError, CalibrationError, InstallationError, SettingError) as error:
        raise UsageError(str(error)) from error
    setup = RobotSetup(
        robot=robot,
        calibration=calibration,
        cameras=config.cameras,
        units=config.units,
        topics=dict(map(_topic, options.camera_topics)),
        positions_rad=joint_positions(options.joint_states, robot) if options.joint_states else None,
        max_pose_sigma=config.max_pose_sigma,
    )
    from smolvla_ros.policy.checkpoint.files import (
        CheckpointError,
    )  # here: torch takes its time, usage errors need not
    from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec

    try:
        spec = CheckpointSpec.load(config.checkpoint, **config.checkpoint_options())
    except CheckpointError as error:
        return PreflightReport({}, (Finding("error", "checkpoint", str(error)),))
    return preflight(Expectations.of(spec), setup)


def _topic(text: str) -> tuple[str, str]:
    """NAME=TOPIC, or a topic whose namespace is the name."""
    name, equals, topic = text.partition("=")
    if equals:
        if not name or not topic:
            raise UsageError(f"--camera-topics {text!r}: expected NAME=TOPIC, such as camera1=/top/image_raw")
        return name, topic
    parts = text.removesuffix("/compressed").strip("/").split("/")
    if len(parts) < 2:
        raise UsageError(f"--camera-topics {text!r}: which camera is it? Write NAME={text}")
    return parts[-2], text


def joint_positions(arguments: Sequence[str], robot: RobotSpec) -> list[float]:
    """Positions in the robot's order, rad, from JOINT=RAD pairs or the name of a file; raises UsageError."""
    if len(arguments) == 1 and "=" not in arguments[0]:
        values = _read_joint_states(arguments[0])
    else:
        values = {name: text for name, _, text in (argument.partition("=") for argument in arguments)}
    missing = [name for name in robot.joint_names if name not in values]
    if missing:
        raise UsageError(
            f"--joint-states lacks {', '.join(missing)}; it has {', '.join(map(str, values)) or 'nothing'}"
        )
    return [_radians(name, values[name]) for name in robot.joint_names]


def _radians(name: str, value: Any) -> float:
    try:
        position = float(value)
    except (TypeError, ValueError):
        position = math.nan
    if not math.isfinite(position):
        raise UsageError(f"--joint-states: {name} is {value!r}, expected a number (rad)")
    return position


def _read_joint_states(file: str) -> dict[str, Any]:
    """The first sensor_msgs/JointState in a YAML or JSON file, or a mapping of names to positions."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        documents = [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--joint-states {file}: {error}") from error
    if not documents:
        raise UsageError(f"--joint-states {file}: no joint states in it; is the topic published?")
    message = documents[0]
    names, positions = message.get("name"), message.get("position")
    if names is None and positions is None:
        return message
    if not isinstance(names, list) or not isinstance(positions, list) or len(names) != len(positions):
        raise UsageError(
            f"--joint-states {file}: name {names!r} and position {positions!r} must be lists of one length"
        )
    return dict(zip(names, positions, strict=True))


def to_text(report: PreflightReport, width: int, colours: bool = False) -> str:
    """The report for a terminal of `width` characters."""

    def paint(text: str, colour: str) -> str:
        return f"{colour}{text}{PLAIN}" if colours else text

    lines = []
    for subject, facts in report.facts.items():
        for index, fact in enumerate(facts):
            head = "" if index else subject
            lines.append(paint(f"{head:<{GUTTER}}", BOLD) + fact)
    for finding in report.findings:
        lines.append("")
        colour = RED if finding.severity == "error" else YELLOW
        lines.append(paint(f"{finding.severity:<{GUTTER}}", colour) + paint(finding.check, BOLD))
        for line in f"{finding.message}.\n{finding.remedy}".splitlines():
            lines += [" " * GUTTER + part for part in _wrapped(line, width - GUTTER)]
    warnings = len(report.findings) - len(report.errors)
    lines.append("")
    if report.errors:
        lines.append(
            paint("does not fit", RED)
            + f": {_count(len(report.errors), 'error')}, {_count(warnings, 'warning')}"
        )
    else:
        lines.append(paint("fits", GREEN) + (f", {_count(warnings, 'warning')}" if warnings else ""))
    return "\n".join(line.rstrip() for line in lines).lstrip("\n")


def _wrapped(line: str, width: int) -> list[str]:
    """Sentences are wrapped, lines to copy (they are indented) are not."""
    return (
        [line]
        if line.startswith(" ")
        else textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """0: fits; 1: does not; 2: the command line is wrong."""
    options = parser().parse_args(arguments)
    try:
        report = check(options)
    except UsageError as error:
        print(f"check_checkpoint: {error}", file=sys.stderr)
        return 2
    print(to_text(report, min(shutil.get_terminal_size((110, 24)).columns, 120), sys.stdout.isatty()))
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
