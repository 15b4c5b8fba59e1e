# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recognise episodes by content: state, action and task of all rows, which differ between recordings of real joints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from smolvla_ros.arrays import Float32Array
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset


def episode_digest(state: Float32Array, action: Float32Array, tasks: Sequence[str]) -> bytes:
    """A hash of the rows: state and action (n, joints) in LeRobot's units, n tasks."""
    digest = hashlib.sha256("\n".join(tasks).encode())
    for values in (state, action):
        digest.update(repr(values.shape).encode() + values.tobytes())
    return digest.digest()


def episode_digests(dataset: LeRobotDataset, lengths: Iterable[int]) -> dict[bytes, int]:
    """The episodes of these lengths: hash -> episode. Raises DatasetError."""
    wanted = set(lengths)
    found = {}
    for episode, row in enumerate(dataset.episodes):
        if row["dataset_to_index"] - row["dataset_from_index"] in wanted:
            rows = dataset.frames(episode)
            found[episode_digest(rows.state, rows.action, rows.tasks)] = episode
    return found
