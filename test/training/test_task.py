# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets of robots with other ranges are scaled to the first one, if that is wanted."""

from __future__ import annotations

import numpy as np
import pytest

from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.training.demonstrations import read_episodes
from smolvla_ros.training.task import TrainingTask

from .conftest import BACKBONE, CHECKPOINT
from .small_dataset import write_small_dataset


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[LeRobotDataset]:
    folder = tmp_path_factory.mktemp("data")
    return [
        LeRobotDataset.load(write_small_dataset(folder / name, lengths))
        for name, lengths in (("first", [12, 9]), ("second", [40]))
    ]


def test_with_own_statistics_every_dataset_has_the_mean_and_deviation_of_the_first(
    datasets: list[LeRobotDataset],
) -> None:
    task = TrainingTask.load(CHECKPOINT, datasets, {}, BACKBONE, own_statistics=True)
    episodes = task.scaled(read_episodes(datasets))
    for name in ("state", "action"):
        first, second = (
            np.concatenate([getattr(episode, name) for episode in episodes if episode.dataset == number])
            for number in (0, 1)
        )
        assert not np.allclose(
            datasets[0].stats[f"observation.{name}" if name == "state" else name]["std"], 0
        )
        assert np.allclose(first.mean(0), second.mean(0), atol=1e-3)
        assert np.allclose(first.std(0), second.std(0), rtol=1e-3)
    assert np.allclose(task.statistics["action"]["mean"], datasets[0].stats["action"]["mean"])


def test_with_joint_statistics_nothing_is_scaled(datasets: list[LeRobotDataset]) -> None:
    task = TrainingTask.load(CHECKPOINT, datasets, {}, BACKBONE)
    read = read_episodes(datasets)
    assert task.scaled(read) == read
    assert not np.allclose(task.statistics["action"]["mean"], datasets[0].stats["action"]["mean"])
