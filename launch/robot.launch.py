# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot without a policy: arm, cameras and robot_state_publisher (/tf). With sim:=true it is emulated.

Usage:
    ros2 launch smolvla_ros robot.launch.py sim:=true
    ros2 launch smolvla_ros robot.launch.py port:=/dev/... calibration:=my_arm.json cameras:=top=/dev/video0
"""

from launch import LaunchDescription

from smolvla_ros.suite import launching, programs

ARGUMENTS = (
    "sim robot port calibration cameras policy_cameras params_file namespace use_sim_time rviz seed "
    "appearance camera_rate_hz network log_level"
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*launching.declare(*ARGUMENTS.split()), *launching.run(programs.robot_nodes)])
