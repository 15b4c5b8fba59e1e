# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Driver of the arm: servo registers, the servo bus, the SO-100 with its six servos, calibration."""
