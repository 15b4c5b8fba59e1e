# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record episodes, convert rosbags to LeRobot datasets and back, check both; without ROS and LeRobot."""
