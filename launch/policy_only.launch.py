# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy alone, for a computer with a GPU; everything else runs at the robot (docs/two_computers.md).

Usage:
    ros2 launch smolvla_ros policy_only.launch.py network:=lan policy_cameras:=top,wrist \\
        checkpoint:=<folder or hub id> calibration:=my_arm.json
"""

from launch import LaunchDescription

from smolvla_ros.suite import launching, programs

ARGUMENTS = (
    "sim robot calibration cameras policy policy_cameras checkpoint server credentials revision dataset stats "
    "backbone device dtype units params_file namespace use_sim_time network log_level"
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*launching.declare(*ARGUMENTS.split()), *launching.run(programs.policy_alone)])
