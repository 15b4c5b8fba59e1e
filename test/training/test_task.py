# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics and rate of the actions: those of the datasets, or of the checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.training.demonstrations import read_episodes
from smolvla_ros.training.errors import TrainingError
from smolvla_ros.training.task import TrainingTask, joint_statistics

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
    task = TrainingTask.load(CHECKPOINT, datasets, {}, BACKBONE, statistics_of="own")
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


def test_datasets_with_and_without_quantiles_are_trained_together(
    datasets: list[LeRobotDataset],
) -> None:
    without = {
        feature: {name: values for name, values in statistics.items() if not name.startswith("q")}
        for feature, statistics in datasets[1].stats.items()
    }
    joint = joint_statistics([datasets[0], replace(datasets[1], stats=without)], "action")
    whole = joint_statistics(datasets, "action")
    assert joint.keys() == {"min", "max", "mean", "std"} < whole.keys()
    assert all(np.array_equal(joint[name], whole[name]) for name in joint)


def test_with_joint_statistics_nothing_is_scaled(datasets: list[LeRobotDataset]) -> None:
    task = TrainingTask.load(CHECKPOINT, datasets, {}, BACKBONE)
    read = read_episodes(datasets)
    assert task.scaled(read) == read
    assert not np.allclose(task.statistics["action"]["mean"], datasets[0].stats["action"]["mean"])


def test_the_statistics_of_the_checkpoint_are_kept(datasets: list[LeRobotDataset]) -> None:
    task = TrainingTask.load(CHECKPOINT, datasets, {}, BACKBONE, statistics_of="checkpoint")
    spec = CheckpointSpec.load(CHECKPOINT, BACKBONE)
    for feature, its in (
        ("observation.state", spec.processors.state_statistics),
        ("action", spec.processors.action_statistics),
    ):
        assert np.array_equal(task.statistics[feature]["mean"], its.values["mean"])
        assert not np.allclose(task.statistics[feature]["mean"], datasets[0].stats[feature]["mean"])
    values = torch.from_numpy(datasets[0].frames(0).action)
    assert torch.equal(
        task.spec.processors.action.normalize(values), spec.processors.action.normalize(values)
    )
    read = read_episodes(datasets)
    assert task.scaled(read) == read
    actions = np.concatenate([episode.action for episode in read])
    assert np.allclose(task.mean_action, actions.mean(0), atol=1e-3)  # what the policy is compared with


@pytest.mark.parametrize(("rate_hz", "frames"), [(0.0, 1), (10.0, 1), (5.0, 2)])
def test_actions_can_be_fewer_than_frames(
    datasets: list[LeRobotDataset], rate_hz: float, frames: int
) -> None:
    task = TrainingTask.load(CHECKPOINT, datasets, {}, BACKBONE, action_rate_hz=rate_hz)
    assert (task.frames_per_action, task.rate_hz) == (frames, 10.0 / frames)


@pytest.mark.parametrize("rate_hz", [4.0, 30.0])
def test_a_rate_that_does_not_divide_the_frames_is_refused(
    datasets: list[LeRobotDataset], rate_hz: float
) -> None:
    with pytest.raises(TrainingError, match=f"action_rate_hz {rate_hz:g}: dataset .* has 10 frames a second"):
        TrainingTask.load(CHECKPOINT, datasets, {}, BACKBONE, action_rate_hz=rate_hz)
