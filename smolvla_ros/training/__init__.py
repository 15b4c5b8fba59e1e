# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning: from LeRobot datasets to a checkpoint, with LeRobot's loss, optimizer and files.

`loss_and_gradients` computes one batch, for checks.
"""

from smolvla_ros.training.gradients import loss_and_gradients

__all__ = ["loss_and_gradients"]
