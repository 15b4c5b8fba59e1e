# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Only the simulated world, with its servo bus on a port of your choice.

Usage:
    ros2 launch smolvla_ros simulation.launch.py port:=/tmp/so100
"""

from launch import LaunchDescription
from launch.actions import SetLaunchConfiguration

from smolvla_ros.suite import launching, programs

ARGUMENTS = "robot port calibration namespace seed appearance params_file use_sim_time network log_level"


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *launching.declare(*ARGUMENTS.split()),
            SetLaunchConfiguration("sim", "true"),
            *launching.run(programs.simulation_programs),
        ]
    )
