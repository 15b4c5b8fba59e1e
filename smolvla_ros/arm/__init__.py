# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arm: servo registers, the bus they sit on, the SO-100 made of six servos."""
