# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything: the robot and what moves it. On hardware it starts disarmed; executor/arm arms it.

Usage:
    ros2 launch smolvla_ros so100.launch.py sim:=true checkpoint:=<folder or hub id>
    ros2 launch smolvla_ros so100.launch.py checkpoint:=<folder or hub id> port:=/dev/serial/by-id/... \\
        calibration:=my_arm.json cameras:=top=/dev/video0,wrist=/dev/video2
    ros2 topic pub --once -w 1 task std_msgs/msg/String "{data: pick up the red cube}"
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, ThisLaunchFileDir

from smolvla_ros.tools import launching


def include(file: str) -> IncludeLaunchDescription:
    """One of the parts; it sees the arguments declared here."""
    return IncludeLaunchDescription(PathJoinSubstitution([ThisLaunchFileDir(), file]))


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *launching.declare(),
            DeclareLaunchArgument(
                "record",
                default_value="false",
                choices=["true", "false"],
                description="start the recorder of episodes, to be driven by record_keys or its services",
            ),
            include("robot.launch.py"),
            include("policy.launch.py"),
            GroupAction([include("record.launch.py")], condition=IfCondition(LaunchConfiguration("record"))),
        ]
    )
