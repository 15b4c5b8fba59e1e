# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does this checkpoint fit this robot? Cameras, dimensions, units, pose, rate."""
