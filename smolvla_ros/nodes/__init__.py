# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS shell: the only place that knows rclpy and message classes. Each node moves messages around a tested core."""
