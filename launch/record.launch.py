# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder, for a robot that is already running: one rosbag per episode. Use its keys or its services.

Usage:
    ros2 launch smolvla_ros record.launch.py output:=~/episodes task:="pick up the red cube"
    ros2 run smolvla_ros record_keys
    ros2 service call recorder/start std_srvs/srv/Trigger
"""

from launch import LaunchDescription

from smolvla_ros.suite import launching, programs

ARGUMENTS = "robot output task params_file namespace use_sim_time network log_level"


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [*launching.declare(*ARGUMENTS.split()), *launching.run(programs.recorder_nodes)]
    )
