# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe of the small checkpoint: a SmolVLA of some million parameters, trained from scratch in simulation."""
