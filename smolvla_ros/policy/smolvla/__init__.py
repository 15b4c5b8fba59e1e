# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SmolVLA network: its layers, its weights, how it is run fast, and the policy made of it."""
