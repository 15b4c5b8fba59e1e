# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode in a work folder until the dataset is written: its rows, and a video for each camera.

Each file appears in one step when it is complete, so that after an interruption what is there need not be made again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from smolvla_ros.arrays import Float32Array, ImageArray
from smolvla_ros.dataset.lerobot_format import ACTION, STATE
from smolvla_ros.dataset.lerobot_writer import StagedEpisode, StagedVideo
from smolvla_ros.dataset.statistics import ImageHistogram, sampled_image_indices
from smolvla_ros.dataset.video import Codec, encode_video


class StagingFolder:
    """The folder of one episode."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.frames = folder / "frames.parquet"

    def write_frames(
        self,
        state: Float32Array,
        action: Float32Array,
        tasks: Sequence[str],
        more: Mapping[str, pyarrow.Array] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write state and action (frames, joints) in LeRobot's units and the task of each frame; and more columns."""
        self._folder.mkdir(parents=True, exist_ok=True)
        columns = {STATE: _vectors(state), ACTION: _vectors(action), "task": pyarrow.array(tasks)}
        table = pyarrow.table({**columns, **(more or {})}).replace_schema_metadata(metadata)
        with atomic_file(self.frames) as path:
            pyarrow.parquet.write_table(table, path)

    def read_frames(self) -> tuple[Float32Array, Float32Array, list[str]]:
        """What `write_frames` wrote: state and action (frames, joints), and the tasks."""
        table = pyarrow.parquet.read_table(self.frames, columns=[STATE, ACTION, "task"])
        state, action = (
            table.column(name).combine_chunks().flatten().to_numpy().reshape(len(table), -1)
            for name in (STATE, ACTION)
        )
        return state, action, table.column("task").to_pylist()

    def has_video(self, camera: str) -> bool:
        return self._description(camera).exists()

    def write_video(
        self, camera: str, images: Iterable[ImageArray], count: int, fps: int, codec: Codec
    ) -> None:
        """Encode `count` images (height, width, 3) of one size; raises VideoError."""
        histogram, samples = ImageHistogram(), sampled_image_indices(count)
        size: list[int] = []

        def counted() -> Iterator[ImageArray]:
            for tick, image in enumerate(images):
                if tick in samples:
                    histogram.add(image)
                size[:] = image.shape[:2]
                yield image

        with atomic_file(self._video(camera)) as path:
            encode_video(path, counted(), fps, codec)
        description = {"height": size[0], "width": size[1], "histogram": histogram.to_json()}
        write_atomically(self._description(camera), json.dumps(description).encode())

    def episode(self, cameras: Mapping[str, str], codec: Codec) -> StagedEpisode:
        """The finished episode. `cameras`: camera -> its key in the dataset."""
        videos = {}
        for camera, key in cameras.items():
            found = json.loads(self._description(camera).read_text(encoding="utf-8"))
            path = self._video(camera)
            histogram = ImageHistogram.from_json(found["histogram"])
            videos[key] = StagedVideo(path, found["height"], found["width"], codec, histogram)
        return StagedEpisode(self.frames, videos)

    def _video(self, camera: str) -> Path:
        return self._folder / f"{camera}.mp4"

    def _description(self, camera: str) -> Path:
        """The file that is written after the video."""
        return self._folder / f"{camera}.json"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A path to write to; the file is renamed to `path` when it is complete."""
    part = path.with_name(f"{path.name}.part")
    yield part
    os.replace(part, path)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is either complete or not there."""
    with atomic_file(path) as part:
        part.write_bytes(content)


def _vectors(rows: Float32Array) -> Any:
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows.ravel()), rows.shape[1])
