# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings: rosbags to LeRobot datasets and back, without ROS and without LeRobot."""
