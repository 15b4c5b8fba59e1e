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

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet

from smolvla_ros.arrays import Float32Array, ImageArray
from smolvla_ros.dataset.language import NO_LANGUAGE, EpisodeLanguage
from smolvla_ros.dataset.lerobot_format import ACTION, STATE
from smolvla_ros.dataset.lerobot_reader import column_values
from smolvla_ros.dataset.lerobot_writer import StagedEpisode, StagedVideo
from smolvla_ros.dataset.statistics import ImageHistogram, sampled_image_indices
from smolvla_ros.dataset.video import CODECS, Codec, cut_video, decode_video, encode_video


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
        more: Mapping[str, npt.NDArray[Any]] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write state and action (frames, joints) in LeRobot's units and the task of each frame; and more columns,
        (frames,) or (frames, width)."""
        self._folder.mkdir(parents=True, exist_ok=True)
        arrays = {STATE: state, ACTION: action, **(more or {})}
        columns = {name: _column(values) for name, values in arrays.items()}
        table = pyarrow.table({**columns, "task": pyarrow.array(tasks)}).replace_schema_metadata(metadata)
        with atomic_file(self.frames) as path:
            pyarrow.parquet.write_table(table, path)

    def read_frames(self) -> tuple[Float32Array, Float32Array, list[str]]:
        """What `write_frames` wrote: state and action (frames, joints), and the tasks."""
        table = pyarrow.parquet.read_table(self.frames, columns=[STATE, ACTION, "task"])
        state, action = (column_values(table.column(name)) for name in (STATE, ACTION))
        return state, action, table.column("task").to_pylist()

    def has_video(self, camera: str) -> bool:
        return self._description(camera).exists()

    def write_video(
        self, camera: str, images: Iterable[ImageArray], count: int, fps: int, codec: Codec
    ) -> None:
        """Encode `count` images (height, width, 3) of one size; raises VideoError, EncoderError."""
        counted = _CountedImages(images, count)
        with atomic_file(self._video(camera)) as path:
            encode_video(path, counted, fps, codec)
        self._describe(camera, counted, CODECS[codec].codec)

    def copy_video(self, camera: str, source: Path, first: int, count: int, fps: int) -> None:
        """Copy `count` images from image `first` of an mp4 as by `cut_video`; raises VideoError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(self._video(camera)) as path:
            codec = cut_video(source, path, first, count, fps)
        counted = _CountedImages(decode_video(self._video(camera), 0.0, count, fps), count)
        for _ in counted:
            pass
        self._describe(camera, counted, codec)

    def episode(
        self, cameras: Mapping[str, str], outcome: str = "", language: EpisodeLanguage = NO_LANGUAGE
    ) -> StagedEpisode:
        """The finished episode. `cameras`: camera -> its key in the dataset."""
        videos = {}
        for camera, key in cameras.items():
            found = json.loads(self._description(camera).read_text(encoding="utf-8"))
            path = self._video(camera)
            histogram = ImageHistogram.from_json(found["histogram"])
            videos[key] = StagedVideo(path, found["height"], found["width"], found["codec"], histogram)
        return StagedEpisode(self.frames, videos, outcome, language)

    def _describe(self, camera: str, images: _CountedImages, codec: str) -> None:
        height, width = images.size
        counts = images.histogram.to_json()
        description = {"height": height, "width": width, "codec": codec, "histogram": counts}
        write_atomically(self._description(camera), json.dumps(description).encode())

    def _video(self, camera: str) -> Path:
        return self._folder / f"{camera}.mp4"

    def _description(self, camera: str) -> Path:
        """The file that is written after the video."""
        return self._folder / f"{camera}.json"


class _CountedImages:
    """Passes `count` images (height, width, 3) on, and counts the sampled ones in a histogram."""

    def __init__(self, images: Iterable[ImageArray], count: int) -> None:
        self._images, self._count = images, count
        self.histogram = ImageHistogram()
        self.size = (0, 0)  # height, width

    def __iter__(self) -> Iterator[ImageArray]:
        samples = sampled_image_indices(self._count)
        for tick, image in enumerate(self._images):
            if tick in samples:
                self.histogram.add(image)
            self.size = image.shape[0], image.shape[1]
            yield image


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


def _column(rows: npt.NDArray[Any]) -> Any:
    if rows.ndim == 1:
        return pyarrow.array(rows)
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(np.ravel(rows)), rows.shape[1])
