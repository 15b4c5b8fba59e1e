# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How often each frame is drawn: tasks or datasets of which there is little may count as much as the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.training.demonstrations import Episode

BALANCES = ("frames", "tasks", "datasets")


def draw_probabilities(episodes: Sequence[Episode], balance: str) -> FloatArray | None:
    """The probability of each frame, (frames,), that makes all tasks or datasets equally frequent.

    None for "frames": each is drawn once an epoch.
    """
    if balance == "frames":
        return None
    groups = [
        text if balance == "tasks" else str(episode.dataset) for episode in episodes for text in episode.tasks
    ]
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    probabilities: FloatArray = 1.0 / (len(counts) * counts[group])
    return probabilities
