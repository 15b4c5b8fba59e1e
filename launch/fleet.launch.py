# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several robots on this computer, each with its own arm, cameras, policy node, executor and namespace.

Usage, with a policy server for all of them:
    smolvla-policy-server my_checkpoint
    ros2 launch smolvla_ros fleet.launch.py robots:=robots.yaml policy:=remote server:=127.0.0.1:50051

robots.yaml:
    left: {port: /dev/serial/by-id/..., calibration: left.json, cameras: top=/dev/video0}
    right: {port: /dev/serial/by-id/..., calibration: right.json, cameras: top=/dev/video2}
"""

from launch import LaunchDescription

from smolvla_ros.suite import launching, programs

ARGUMENTS = (
    "robots sim robot cameras policy policy_cameras checkpoint server credentials revision dataset stats backbone "
    "device dtype units mode task record output params_file use_sim_time seed appearance camera_rate_hz console "
    "network log_level"
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [*launching.declare(*ARGUMENTS.split()), *launching.run_fleet(programs.suite_nodes)]
    )
