# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Samples hold what the dataset holds: the right image, the actions that follow, and what is beyond the episode."""

from __future__ import annotations

import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from smolvla_ros.dataset.errors import VideoError
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.training.augmentation import augment
from smolvla_ros.training.balance import draw_probabilities
from smolvla_ros.training.batch import Draw
from smolvla_ros.training.demonstrations import (
    Demonstrations,
    Order,
    load_batches,
    read_episodes,
    split_episodes,
)
from smolvla_ros.training.errors import TrainingError

from .small_dataset import write_small_dataset

LENGTHS = (12, 9, 5)
CAMERAS = {"camera1": "camera1", "camera2": "camera2"}
CHUNK = 6


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> LeRobotDataset:
    return LeRobotDataset.load(write_small_dataset(tmp_path_factory.mktemp("data") / "bar", LENGTHS))


@pytest.fixture
def demonstrations(dataset: LeRobotDataset) -> Demonstrations:
    return Demonstrations([dataset], read_episodes([dataset]), CAMERAS, CHUNK)


def test_images_are_those_of_the_frames_in_any_order(
    demonstrations: Demonstrations, dataset: LeRobotDataset
) -> None:
    expected = [image for episode in range(3) for image in dataset.images(episode, "camera2")]
    order = np.random.default_rng(0).permutation(sum(LENGTHS)).tolist()
    samples = demonstrations.read([Draw(frame, frame) for frame in order])
    assert len(demonstrations) == sum(LENGTHS)
    for frame, image in zip(order, samples.images["camera2"], strict=True):
        assert np.array_equal(image.numpy(), expected[frame]), frame


def test_actions_after_the_episode_repeat_the_last_one(
    demonstrations: Demonstrations, dataset: LeRobotDataset
) -> None:
    samples = demonstrations.read([Draw(12 + 6, 0)])  # the second episode has frames 12 .. 20
    actions = dataset.frames(1).action
    assert samples.action_is_pad is not None
    assert samples.action_is_pad.tolist() == [[False, False, False, True, True, True]]
    assert torch.equal(samples.action[0, :3], torch.from_numpy(actions[6:]))
    assert torch.equal(samples.action[0, 3:], torch.from_numpy(actions[[-1, -1, -1]]))
    assert torch.equal(samples.state[0], torch.from_numpy(dataset.frames(1).state[6]))
    assert samples.tasks == ["Move the bar 1"]


def test_a_chunk_can_have_the_actions_of_every_other_frame(dataset: LeRobotDataset) -> None:
    every_other = Demonstrations([dataset], read_episodes([dataset]), CAMERAS, CHUNK, frames_per_action=2)
    samples = every_other.read([Draw(12 + 3, 0)])
    actions = dataset.frames(1).action  # 9 frames
    assert samples.action_is_pad is not None
    assert samples.action_is_pad.tolist() == [[False, False, False, True, True, True]]
    assert torch.equal(samples.action[0, :3], torch.from_numpy(actions[[3, 5, 7]]))


def test_each_epoch_has_every_frame_once_in_another_order() -> None:
    order = Order(frames=10, seed=3)
    frames = [draw.frame for draw in order.draws(0, 30)]
    epochs = [frames[start : start + 10] for start in (0, 10, 20)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    assert [draw.frame for draw in Order(10, 3).draws(17, 9)] == frames[17:26]


def test_balance_draws_all_tasks_or_datasets_equally_often(dataset: LeRobotDataset) -> None:
    episodes = read_episodes([dataset, dataset])[:4]  # 26 frames of the first dataset, 12 of the second
    tasks = [text for episode in episodes for text in episode.tasks]
    datasets = [episode.dataset for episode in episodes for _ in episode.tasks]
    assert draw_probabilities(episodes, "frames") is None
    for balance, groups in (("tasks", tasks), ("datasets", datasets)):
        order = Order(len(groups), 1, draw_probabilities(episodes, balance))
        drawn = [groups[draw.frame] for draw in order.draws(0, 4000)]
        shares = [drawn.count(group) / len(drawn) for group in sorted(set(groups))]
        assert shares == pytest.approx([0.5, 0.5], abs=0.03)
        assert Order(len(groups), 1, draw_probabilities(episodes, balance)).draws(90, 5) == order.draws(90, 5)


def test_held_out_episodes_are_not_trained_on(dataset: LeRobotDataset) -> None:
    training, held_out = split_episodes(read_episodes([dataset]), 0.34, seed=1)
    assert sorted(episode.number for episode in (*training, *held_out)) == [0, 1, 2]
    assert len(held_out) == 1
    assert len(split_episodes(read_episodes([dataset]), 0.9, seed=1)[0]) == 1  # one stays to train on


def test_workers_read_the_same_batches_in_order(demonstrations: Demonstrations) -> None:
    batches = [[Draw(3, 0), Draw(20, 1)], [Draw(8, 2)], [Draw(25, 3)]]
    demonstrations.read(batches[0])  # it then has open videos, which the workers must not get
    for mine, theirs in zip(
        load_batches(demonstrations, iter(batches), 0),
        load_batches(demonstrations, iter(batches), 2),
        strict=True,
    ):
        assert torch.equal(mine.images["camera1"], theirs.images["camera1"])
        assert torch.equal(mine.action, theirs.action)


def test_an_error_in_a_worker_has_its_own_message(tmp_path: Path) -> None:
    folder = write_small_dataset(tmp_path / "bar", LENGTHS)
    demonstrations = Demonstrations(
        [copy := LeRobotDataset.load(folder)], read_episodes([copy]), CAMERAS, CHUNK
    )
    for video in folder.glob("videos/*/*/*.mp4"):
        video.write_bytes(b"nothing")
    with pytest.raises(VideoError) as found:
        list(load_batches(demonstrations, iter([[Draw(3, 0)]]), 1))
    assert "Traceback" not in str(found.value) and ".mp4" in str(found.value)


def test_a_worker_that_was_ended_ends_the_run_with_the_remedy(demonstrations: Demonstrations) -> None:
    batches = load_batches(demonstrations, iter([[Draw(3, 0)]] * 100), 1)
    before = signal.getsignal(signal.SIGCHLD)
    next(batches)
    assert signal.getsignal(signal.SIGCHLD) == before  # no signal raises the error in the middle of an update
    [worker] = multiprocessing.active_children()
    worker.kill()
    with pytest.raises(TrainingError, match=r"worker .* fewer --workers .* --resume"):
        list(batches)


def test_augmentation_depends_on_the_draw_alone(dataset: LeRobotDataset) -> None:
    changed = Demonstrations([dataset], read_episodes([dataset]), CAMERAS, CHUNK, augments=True, seed=5)
    first, again, other = (changed.read([Draw(7, number)]).images["camera1"][0] for number in (100, 100, 101))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_augmented_images_stay_recognisable() -> None:
    image = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    for seed in range(20):
        changed = augment(image, np.random.default_rng(seed))
        assert changed.shape == image.shape and changed.dtype == np.uint8
        inner = np.s_[12:-12, 12:-12]
        likeness = np.corrcoef(changed[inner].ravel(), image[inner].ravel())[0, 1]
        assert likeness > 0.45, seed


def test_corrections_have_their_weight_and_all_else_one(dataset: LeRobotDataset) -> None:
    episodes = read_episodes([dataset])
    assert not any(episode.intervention.any() for episode in episodes)  # the dataset does not say
    corrected = replace(episodes[1], intervention=np.arange(9) >= 7)
    weighted = Demonstrations([dataset], [corrected], CAMERAS, CHUNK, correction_weight=3.0)
    weights = weighted.read([Draw(0, 0), Draw(5, 1)]).action_weights
    assert weights is not None
    assert weights.tolist() == [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 3, 3, 3, 3],
    ]  # the last is repeated, and is padding
