# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy on another computer, by gRPC and without ROS: the protocol, its server, and the client on the robot."""
