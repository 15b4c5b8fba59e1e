# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robot, calibration and units are the same options on all command lines."""

from __future__ import annotations

import argparse
import importlib
from dataclasses import dataclass

import pytest

from smolvla_ros.robot import RobotSpecError
from smolvla_ros.settings import Settings, setting
from smolvla_ros.suite.command_line import (
    add_settings,
    load_robot,
    load_robot_and_calibration,
    settings_of,
)

from ..package_files import CALIBRATION_FILE

NEEDED = {  # further words that the command line of a program needs
    "bag_to_lerobot": ["bag", "--output", "out"],
    "lerobot_to_bag": ["dataset", "--output", "out"],
    "play_dataset": ["dataset"],
    "check_dataset": ["dataset"],
    "view_dataset": ["dataset"],
    "check_checkpoint": ["checkpoint"],
    "replay_policy": ["bag", "checkpoint"],
    "so100_calibrate": ["--port", "/dev/arm", "--id", "mine"],
    "so100_setup_motors": ["--port", "/dev/arm"],
}
FOR_THE_BUS_ALONE = ("so100_calibrate", "so100_setup_motors")
NODES = ("play_dataset", "replay_policy")


@pytest.mark.parametrize("program", NEEDED)
def test_every_tool_takes_the_robot_its_calibration_and_units(program: str) -> None:
    if program in NODES:
        pytest.importorskip("rclpy", reason="this tool needs ROS 2")
    parser = importlib.import_module(f"smolvla_ros.tools.{program}").parser()
    options = parser.parse_args([*NEEDED[program], "--robot", "so101"])
    assert load_robot(options).name == "so101"
    if program in FOR_THE_BUS_ALONE:
        return
    words = ["--robot", "so101", "--calibration", CALIBRATION_FILE, "--units", "range_m100_100"]
    robot, calibration = load_robot_and_calibration(parser.parse_args([*NEEDED[program], *words]))
    assert {joint.unit for joint in robot.joints} == {"range_m100_100", "range_0_100"}
    assert calibration is not None and set(calibration) == set(robot.joint_names)


def test_an_error_names_an_unknown_robot() -> None:
    parser = importlib.import_module("smolvla_ros.tools.check_dataset").parser()
    with pytest.raises(RobotSpecError, match="so102"):
        load_robot(parser.parse_args(["dataset", "--robot", "so102"]))


@dataclass(frozen=True)
class Switches(Settings):
    light: bool = setting(False, "whether there is light")
    fan: bool = setting(True, "whether the air moves")


def test_what_is_true_or_false_is_given_without_a_word() -> None:
    parser = argparse.ArgumentParser()
    add_settings(parser, Switches)
    assert settings_of(parser.parse_args([]), Switches) == Switches()
    assert settings_of(parser.parse_args(["--light", "--no-fan"]), Switches) == Switches(True, False)
    with pytest.raises(SystemExit):
        parser.parse_args(["--light", "false"])
