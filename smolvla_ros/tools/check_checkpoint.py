# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check whether a checkpoint fits the robot, before anything moves, and print what it expects.

Needs no ROS, no arm and no GPU, and reads only the names and shapes of the weights. The policy node makes the same
checks when it is configured.

    check_checkpoint PATH --calibration my_arm.json
    ros2 topic echo --once /joint_states | check_checkpoint PATH --calibration my_arm.json --joint-states -
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.text import Text

from smolvla_ros.finding import Finding, Report
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.preflight.preflight import Expectations, RobotSetup, preflight
from smolvla_ros.suite.command_line import (
    ROBOT,
    UsageError,
    add_options,
    exit_on_errors,
    load_robot_and_calibration,
    policy_config,
)
from smolvla_ros.suite.joint_positions import parse_joint_positions
from smolvla_ros.terminal.report import print_report, report_console


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="check_checkpoint",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 the checkpoint fits (there may be warnings), 1 it does not, 2 the command line is wrong.",
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
        help="the topic of a camera or image, such as camera1=/top/image_raw; without NAME, the topic's namespace is "
        "the name",
    )
    add(
        "--joint-states",
        nargs="+",
        default=[],
        metavar="JOINT=RAD",
        help="the current pose, rad; or a file (- for standard input) with the output of "
        "`ros2 topic echo --once /joint_states`",
    )
    return parser


def check(options: argparse.Namespace) -> Report:
    """Check the checkpoint that the command line names; raises USAGE_ERRORS."""
    robot, calibration = load_robot_and_calibration(options)
    robot.select_cameras(options.cameras)
    config = policy_config(options)
    setup = RobotSetup(
        robot=robot,
        calibration=calibration,
        cameras=config.cameras,
        units=config.units,
        topics=dict(map(_topic, options.camera_topics)),
        positions_rad=parse_joint_positions(options.joint_states, robot) if options.joint_states else None,
        max_pose_sigma=config.max_pose_sigma,
    )
    # Imported here: torch takes seconds to import, and usage errors do not need it.
    from smolvla_ros.policy.checkpoint.files import CheckpointError
    from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec

    try:
        spec = CheckpointSpec.load(config.checkpoint, **config.checkpoint_options())
    except CheckpointError as error:
        return Report({}, (Finding("error", "checkpoint", str(error)),))
    return preflight(Expectations.of(spec), setup)


def _topic(text: str) -> tuple[str, str]:
    """Name and topic of NAME=TOPIC, or of a topic whose namespace is the name; raises UsageError."""
    name, equals, topic = text.partition("=")
    if equals:
        if not name or not topic:
            raise UsageError(f"--camera-topics {text!r}: expected NAME=TOPIC, such as camera1=/top/image_raw")
        return name, topic
    parts = text.removesuffix("/compressed").strip("/").split("/")
    if len(parts) < 2:
        raise UsageError(f"--camera-topics {text!r}: which camera is it? Give NAME={text}")
    return parts[-2], text


@exit_on_errors("check_checkpoint")
def main(arguments: Sequence[str] | None = None) -> int:
    report = check(parser().parse_args(arguments))
    console = report_console()
    print_report(console, report)
    warnings = len(report.findings) - len(report.errors)
    if report.errors:
        counts = f": {_count(len(report.errors), 'error')}, {_count(warnings, 'warning')}"
        console.print(Text.assemble(("does not fit", "red"), counts))
    else:
        console.print(
            Text.assemble(("fits", "green"), f", {_count(warnings, 'warning')}" if warnings else "")
        )
    return 1 if report.errors else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    sys.exit(main())
