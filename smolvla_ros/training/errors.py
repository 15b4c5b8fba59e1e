# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of this room."""


class TrainingError(ValueError):
    """Training cannot start or go on; the message names the thing, its value and the remedy."""
