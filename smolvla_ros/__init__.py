# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SmolVLA on a real arm through ROS 2: Frames and Joints -> Observation -> ActionChunk -> joint commands.

units, image, urdf        ticks, radians and LeRobot units; pictures; what the arm looks like on paper
robot -> observation      which joints and cameras there are; what was seen and felt at one moment
chunk -> wire             actions anchored in time; ROS messages -> these values, by field name, without ROS
camera/ arm/ scene/       where frames and joints come from: devices, and stand-ins that speak the same wire
policy/                   Observation -> ActionChunk: SmolVLA checkpoints (the torch room)
execution/                ActionChunk -> a safe joint command every tick: queue, fusion, limits, arming
dataset/                  episodes on disk: recording, rosbags <-> LeRobot datasets, what is wrong with them
nodes/                    the same on ROS topics (the rclpy room); their settings are checked by settings.py
program, suite -> tools/  which programs make up the whole, for launch/ and the demo; command lines

A file imports only what stands above its line or in its own room; rooms never import each other.
"""

from pkgutil import extend_path

# The generated smolvla_ros.msg lives in the installed package of the same name; this joins the two.
__path__ = extend_path(__path__, __name__)
