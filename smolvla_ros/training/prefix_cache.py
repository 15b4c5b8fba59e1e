# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keys and values of images and task in a file, computed once for each frame, for a frozen vision-language model.

The file has one row a frame, or several if images are changed at random: keys and values of all layers, the tokens
padded to those of the longest task. What is in it depends on the weights, the datasets and the number format, of which
its name has a digest.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from smolvla_ros.dataset.lerobot_format import INFO
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.staging import write_atomically
from smolvla_ros.training.batch import Batch, BatchPreparation, Draw, Samples
from smolvla_ros.training.demonstrations import Demonstrations
from smolvla_ros.training.errors import TrainingError
from smolvla_ros.training.frozen_prefix import FrozenKeysValues
from smolvla_ros.training.objective import Objective
from smolvla_ros.training.task import TrainingTask

COMPUTED_AT_ONCE = 8  # frames
SPARE = 1 << 30  # bytes that stay free on the disk


class PrefixCache:
    """Rows of all frames of some demonstrations, (keys or values, layer, token, kv_heads * head_dim).

    variants: rows of each frame, with other random changes of its images.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        demonstrations: Demonstrations,
        preparation: BatchPreparation,
        objective: Objective,
        dtype: torch.dtype,
        variants: int,
    ) -> None:
        """Raises TrainingError if the disk has too little space for a new file."""
        self.path = folder / f"{name}.keys_values"
        self._done = folder / f"{name}.json"  # how many frames have been computed
        self._demonstrations, self._preparation, self._objective = demonstrations, preparation, objective
        self._variants = variants
        self.rows = len(demonstrations) * variants
        batch = preparation(demonstrations.read([Draw(0, 0)]))
        frozen = objective.frozen(batch)
        images = frozen.valid.shape[1] - batch.tokens.shape[1]
        self._image_valid = frozen.valid[:1, :images]
        tasks = sorted({task for episode in demonstrations.episodes for task in episode.tasks})
        tokens = images + preparation.tokens(tasks)[0].shape[1]
        _, _, kv_heads, self._head_dim = frozen.keys[0].shape
        row = (2, len(frozen.keys), tokens, kv_heads * self._head_dim)
        count = self.rows * math.prod(row)
        self.bytes = count * dtype.itemsize
        self._reserve(folder)
        self._table = torch.from_file(str(self.path), shared=True, size=count, dtype=dtype).view(-1, *row)

    def _reserve(self, folder: Path) -> None:
        """Create the file with its whole size: a full disk later would end the process."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size == self.bytes:
            return
        free = shutil.disk_usage(folder).free
        if free < self.bytes + SPARE:
            raise TrainingError(
                f"the cache in '{folder}' needs {self.bytes / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; give another "
                "folder, or leave cache out"
            )
        self._done.unlink(missing_ok=True)
        with self.path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, self.bytes)

    @property
    def done(self) -> int:
        """How many rows have been computed."""
        return int(json.loads(self._done.read_text())["rows"]) if self._done.exists() else 0

    @torch.no_grad()
    def fill(self, stop: Sequence[int]) -> None:
        """Compute the rows that are missing; an interrupted computation is continued.

        Raises TrainingError when `stop` becomes non-empty.
        """
        first = self.done
        bar = tqdm(desc="cache", total=self.rows, initial=first, unit="row", disable=None)
        for start in range(first, self.rows, COMPUTED_AT_ONCE):
            if stop:
                raise TrainingError(
                    f"stopped when {start} of {self.rows} rows of the cache had been computed; continue with --resume"
                )
            rows = range(start, min(start + COMPUTED_AT_ONCE, self.rows))
            samples = self._demonstrations.read([Draw(row // self._variants, row) for row in rows])
            frozen = self._objective.frozen(self._preparation(samples))
            for index, parts in enumerate((frozen.keys, frozen.values)):
                for layer, part in enumerate(parts):
                    self._table[rows.start : rows.stop, index, layer, : part.shape[1]] = part.flatten(2)
            write_atomically(self._done, json.dumps({"rows": rows.stop}).encode())
            bar.update(len(rows))
        bar.close()

    def read(self, samples: Samples, batch: Batch) -> FrozenKeysValues:
        """Keys and values of samples, and of the batch that was made of them."""
        images = self._image_valid.expand(len(samples.tasks), -1)
        valid = torch.cat([images, batch.tokens_valid], dim=1)
        chosen = [draw.frame * self._variants + draw.number % self._variants for draw in samples.draws]
        rows = self._table[chosen][:, :, :, : valid.shape[1]].to(valid.device)
        keys, values = rows.view(*rows.shape[:-1], -1, self._head_dim).unbind(1)
        return FrozenKeysValues(keys.unbind(1), values.unbind(1), valid)


def digest(task: TrainingTask, precision: str) -> str:
    """A name for what keys and values depend on."""
    adapter = task.spec.weights.adapter
    parts = [
        *(_version(path) for path in (task.spec.weights.path, *([adapter.path] if adapter else []))),
        precision,
        json.dumps(dict(task.cameras)),
        *(text for dataset in task.datasets for text in _identity(dataset)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _version(path: Path) -> str:
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def _identity(dataset: LeRobotDataset) -> Iterator[str]:
    """What changes when a dataset is made again in the same folder, or its tasks are reworded."""
    yield _version(dataset.root / INFO)
    yield json.dumps([dict(dataset.info), *dataset.tasks])
