# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot and a leader arm that it follows; sim:=true: a simulated robot, which follows leader/joint_states.

Usage:
    ros2 launch smolvla_ros teleop.launch.py port:=/dev/... calibration:=my_arm.json \\
        leader_port:=/dev/... leader_calibration:=my_leader.json cameras:=top=/dev/video0
"""

from launch import LaunchDescription

from smolvla_ros.suite import launching, programs

ARGUMENTS = (
    "sim robot port calibration leader_port leader_calibration cameras params_file namespace use_sim_time "
    "rviz seed network log_level"
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*launching.declare(*ARGUMENTS.split()), *launching.run(programs.teleop_nodes)])
