# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SmolVLA on a real arm through ROS 2: Frames and Joints -> Observation -> ActionChunk -> joint commands.

arrays                                names of array types
units image urdf settings share ...   ticks, radians and LeRobot units; pictures; the arm's geometry; checked settings
robot -> observation, chunk -> wire   joints and cameras; what was seen at a moment; actions in time; ROS messages read
authority                             who commands the arm: policy, person, nobody
camera/ arm/                          where frames and joints come from: devices
simulation/                           stand-ins for them: a servo bus on a pseudo-terminal, rendered images
policy/                               Observation -> ActionChunk (the torch room)
    checkpoint/                       the folder that LeRobot saves, read and checked
    smolvla/                          the network, its weights, how it is run fast
    preflight/                        does this checkpoint fit this robot?
execution/                            ActionChunk -> a safe joint command every tick: queue, fusion, limits, arming
dataset/                              episodes on disk: recording, rosbags <-> LeRobot datasets, what is wrong with them
curation/                             LeRobot datasets as the SmolVLA paper chose, named and reworded them
evaluation/                           trials of a policy, in the stepped world or with a person, and what they add up to
remote/                               a policy on another computer, by gRPC and without ROS
training/                             LeRobot datasets -> a checkpoint, with LeRobot's loss and optimizer
viewer/                               episodes and their findings as a web page
console/                              the suite as a web page that drives it
terminal/                             keys, questions and live screens
node_configs                          the parameters of every node, without ROS
nodes/                                the ROS nodes (rclpy)
suite/                                the programs of the suite, their options, how they are started and supervised
demo/ tools/                          the demo; command lines

A file imports only from its own room and from those above it, as test/test_import_map.py lists them; no two files
import each other, directly or through others.
"""

from pkgutil import extend_path

# The generated smolvla_ros.msg lives in the installed package of the same name; this joins the two.
__path__ = extend_path(__path__, __name__)
