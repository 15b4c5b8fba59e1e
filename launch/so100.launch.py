# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole suite: robot, policy and executor. On hardware it starts disarmed; executor/arm arms it.

Usage:
    ros2 launch smolvla_ros so100.launch.py sim:=true checkpoint:=<folder or hub id>
    ros2 launch smolvla_ros so100.launch.py checkpoint:=<folder or hub id> port:=/dev/serial/by-id/... \\
        calibration:=my_arm.json cameras:=top=/dev/video0,wrist=/dev/video2
    ros2 topic pub --once -w 1 task std_msgs/msg/String "{data: pick up the red cube}"
"""

from launch import LaunchDescription

from smolvla_ros.suite import launching, programs

ARGUMENTS = (
    "sim robot port calibration leader_port leader_calibration cameras policy policy_cameras checkpoint server "
    "credentials revision dataset stats backbone device dtype units mode task record output console "
    "protocol trials_log params_file namespace use_sim_time rviz seed appearance camera_rate_hz network log_level"
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *launching.declare(*ARGUMENTS.split()),
            launching.explain_missing_policy(),
            *launching.run(programs.suite_nodes),
        ]
    )
