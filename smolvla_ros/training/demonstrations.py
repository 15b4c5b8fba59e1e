# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames of LeRobot datasets as samples: images, state, task, and the actions that follow.

As in LeRobot, action k of a chunk is that of the frame k steps later; beyond the end of the episode the last one is
repeated and marked.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from smolvla_ros.arrays import BoolArray, Float32Array, FloatArray, IntArray
from smolvla_ros.dataset.errors import DataError
from smolvla_ros.dataset.frame_reader import FrameReader
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.stop_signals import STOP_SIGNALS
from smolvla_ros.training.augmentation import augment
from smolvla_ros.training.batch import Draw, Samples
from smolvla_ros.training.errors import TrainingError


@dataclass(frozen=True, eq=False)
class Episode:
    """One episode without its images."""

    dataset: int
    number: int  # in the dataset
    state: Float32Array  # (n, joints), robot units
    action: Float32Array  # (n, joints)
    tasks: Sequence[str]  # n
    intervention: BoolArray  # (n,) whether a person had taken control from the policy


def read_episodes(datasets: Sequence[LeRobotDataset]) -> list[Episode]:
    """All episodes of the datasets, without images; raises DatasetError."""
    return [
        Episode(number, episode, frames.state, frames.action, frames.tasks, frames.intervention)
        for number, dataset in enumerate(datasets)
        for episode in range(len(dataset.episodes))
        for frames in (dataset.frames(episode),)
    ]


def split_episodes(
    episodes: Sequence[Episode], share: float, seed: int
) -> tuple[list[Episode], list[Episode]]:
    """The episodes to train on and those held out for validation: `share` of them, rounded, chosen by `seed`."""
    count = min(round(share * len(episodes)), len(episodes) - 1)
    order = np.random.default_rng([seed, len(episodes)]).permutation(len(episodes))
    held_out = set(order[:count].tolist())
    return (
        [episode for index, episode in enumerate(episodes) if index not in held_out],
        [episode for index, episode in enumerate(episodes) if index in held_out],
    )


@dataclass(eq=False)
class Demonstrations:
    """The frames of some episodes, counted from 0. `cameras`: the checkpoint's name -> the dataset's image key.

    `correction_weight`: of the actions of a person who had taken control, where those of others have 1.
    `frames_per_action`: a chunk has the actions of every so many frames.
    """

    datasets: Sequence[LeRobotDataset]
    episodes: Sequence[Episode]
    cameras: Mapping[str, str]
    chunk: int
    augments: bool = False
    seed: int = 0
    reads_images: bool = True
    correction_weight: float = 1.0
    frames_per_action: int = 1
    _reader: FrameReader | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._starts: IntArray = np.cumsum([0, *(len(episode.state) for episode in self.episodes)])

    def __getstate__(self) -> dict[str, Any]:
        """For the processes that read: open videos cannot be sent to them."""
        return self.__dict__ | {"_reader": None}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def with_images(self) -> Demonstrations:
        """The same frames, read with their images."""
        return self if self.reads_images else replace(self, reads_images=True)

    def place(self, frame: int) -> tuple[Episode, int]:
        """The episode of a frame, and its number there."""
        index = int(np.searchsorted(self._starts, frame, side="right")) - 1
        return self.episodes[index], frame - int(self._starts[index])

    def chunk_of(self, frame: int) -> tuple[Float32Array, Tensor, Tensor]:
        """The actions (chunk, joints) from a frame on, which are after the end of the episode, and their weights."""
        episode, row = self.place(frame)
        rows = row + np.arange(self.chunk) * self.frames_per_action
        last = len(episode.action) - 1
        kept = np.minimum(rows, last)
        weights = np.where(episode.intervention[kept], np.float32(self.correction_weight), np.float32(1.0))
        return episode.action[kept], torch.from_numpy(rows > last), torch.from_numpy(weights)

    def read(self, draws: Sequence[Draw]) -> Samples:
        """A batch; raises DatasetError, VideoError."""
        chunks = [self.chunk_of(draw.frame) for draw in draws]
        places = [self.place(draw.frame) for draw in draws]
        images = self.cameras if self.reads_images else {}
        return Samples(
            images={
                name: torch.from_numpy(np.stack([self._image(draw, key) for draw in draws]))
                for name, key in images.items()
            },
            state=torch.from_numpy(np.stack([episode.state[row] for episode, row in places])),
            action=torch.from_numpy(np.stack([actions for actions, _, _ in chunks])),
            action_is_pad=torch.stack([is_pad for _, is_pad, _ in chunks]),
            tasks=[episode.tasks[row] for episode, row in places],
            draws=draws,
            action_weights=torch.stack([weights for _, _, weights in chunks]),
        )

    def __getitems__(self, draws: Sequence[Draw]) -> Samples | DataError:
        """DataLoader calls it with a whole batch; it would put a traceback into the message of an error."""
        try:
            return self.read(draws)
        except DataError as error:
            return error

    def _image(self, draw: Draw, key: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        if self._reader is None:  # made in the process that reads
            self._reader = FrameReader(self.datasets)
        episode, row = self.place(draw.frame)
        image = self._reader.read(episode.dataset, episode.number, key, row)
        if not self.augments:
            return image
        return augment(image, np.random.default_rng([self.seed, draw.number, *key.encode()]))


class Order:
    """The frames of all updates of a run: each epoch is a random permutation of all frames, one after the other.

    It depends only on `seed`, so a run that is continued, or divided among processes, reads the same frames.
    `probabilities` of the frames, (frames,): an epoch has as many draws from them instead.
    """

    def __init__(self, frames: int, seed: int, probabilities: FloatArray | None = None) -> None:
        self._frames, self._seed, self._probabilities = frames, seed, probabilities
        self._epoch = -1
        self._permutation: IntArray = np.zeros(0, np.int64)

    def draws(self, first: int, count: int) -> list[Draw]:
        """The draws `first` .. first + count - 1 of the run."""
        return [Draw(self._frame(number), number) for number in range(first, first + count)]

    def _frame(self, number: int) -> int:
        epoch, place = divmod(number, self._frames)
        if epoch != self._epoch:
            random = np.random.default_rng([self._seed, epoch])
            self._permutation = (
                random.permutation(self._frames)
                if self._probabilities is None
                else random.choice(self._frames, self._frames, p=self._probabilities)
            )
            self._epoch = epoch
        return int(self._permutation[place])


def load_batches(
    demonstrations: Demonstrations, batches: Iterator[list[Draw]], workers: int
) -> Iterator[Samples]:
    """The batches in order, read ahead by `workers` processes; 0: in this one.

    Raises DatasetError, VideoError; TrainingError if a process was ended, as by the system for want of memory.
    """
    loader: DataLoader[Samples | DataError] = DataLoader(
        demonstrations,  # type: ignore[arg-type]
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=_ignore_stop_signals,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=False,
    )
    try:
        for samples in _without_signals(loader):
            if isinstance(samples, DataError):
                raise samples
            yield samples
    except (
        RuntimeError,
        OSError,
        EOFError,
    ) as error:  # one of the latter where it is ended while it sends images
        raise TrainingError(
            f"images cannot be read by a worker process: {error}; give fewer --workers if memory was short. Continue "
            "with --resume"
        ) from error


def _without_signals(loader: DataLoader[Any]) -> Iterator[Samples | DataError]:
    """What is loaded. Torch's handler of SIGCHLD would raise the error of a worker anywhere, as in an update; without
    it the error is raised where the worker's next batch is waited for, within seconds."""
    before = signal.getsignal(signal.SIGCHLD)
    loaded = iter(loader)
    with suppress(ValueError):  # in another thread than the main one, where torch sets no handler either
        signal.signal(signal.SIGCHLD, before)
    return loaded


def _as_it_is(samples: Any) -> Any:
    return samples


def _ignore_stop_signals(_worker: int) -> None:
    """Ctrl-C goes to all processes of the terminal; the one that trains ends the others."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
