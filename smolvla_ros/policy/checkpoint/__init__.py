# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that LeRobot saves, read and checked: files, configuration, statistics, processing before and after."""
