# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SmolVLA network: layers, weights, acceleration, and the policy made of it."""
