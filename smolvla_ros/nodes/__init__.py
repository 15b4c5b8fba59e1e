# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS nodes. Only they and the demo's observer import rclpy and message classes; the core decides."""
