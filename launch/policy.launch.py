# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy and the executor, for a robot that is already running.

Usage:
    ros2 launch smolvla_ros policy.launch.py checkpoint:=<folder or hub id> calibration:=my_arm.json
"""

from launch import LaunchDescription

from smolvla_ros.suite import launching, programs

ARGUMENTS = (
    "sim robot calibration cameras policy policy_cameras checkpoint server credentials revision dataset stats "
    "backbone device dtype units mode task params_file namespace use_sim_time network log_level"
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *launching.declare(*ARGUMENTS.split()),
            launching.explain_missing_policy(),
            *launching.run(programs.policy_nodes),
        ]
    )
