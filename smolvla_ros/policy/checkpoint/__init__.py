# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading and checking a LeRobot checkpoint: files, configuration, statistics, pre- and postprocessing."""
