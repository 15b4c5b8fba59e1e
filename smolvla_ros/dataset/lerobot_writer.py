# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LeRobotDataset v3.0 folders from finished episodes, new or appended to an existing one.

Everything is first put together beside the dataset, then moved into it file by file, `info.json` last. Readers believe
`info.json`, so whoever is cut off in between still finds the old dataset, and doing it again gives the same files.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from smolvla_ros.dataset import statistics
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.lerobot_reader import (
    ACTION,
    EPISODES_PATH,
    IMAGES,
    INFO,
    STATE,
    STATS,
    TASK_COLUMN,
    TASKS,
    VERSION,
    LeRobotDataset,
)
from smolvla_ros.dataset.video import concatenate_videos

DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
CHUNK_FILES = 1000  # files in a folder
DATA_BYTES, VIDEO_BYTES = 100_000_000, 200_000_000  # a file that has reached this gets no further episode
COUNTERS = ("timestamp", "frame_index", "episode_index", "index", "task_index")  # columns of every dataset


@dataclass(frozen=True)
class StagedVideo:
    """The images of one camera in one episode."""

    path: Path
    height: int
    width: int
    codec: str
    statistics: Mapping[str, Any]


@dataclass(frozen=True)
class StagedEpisode:
    """An episode that waits to become part of a dataset."""

    frames: Path  # parquet with the columns observation.state, action and task
    videos: Mapping[str, StagedVideo]  # image key -> video


@dataclass(frozen=True)
class Base:
    """What was there before: nothing, or the dataset that is appended to."""

    dataset: LeRobotDataset | None
    stats: Mapping[str, Any]  # as they were then; those in the dataset may already be the new ones


@dataclass(frozen=True)
class _Place:
    """Where in which file of a dataset something lies."""

    number: int

    @property
    def indices(self) -> dict[str, int]:
        return {"chunk_index": self.number // CHUNK_FILES, "file_index": self.number % CHUNK_FILES}


def describe(
    joint_names: Sequence[str], videos: Mapping[str, tuple[int, int, str]], fps: int
) -> dict[str, Any]:
    """The `features` of info.json; `videos` maps image keys to height, width and codec."""
    values = {
        "dtype": "float32",
        "shape": [len(joint_names)],
        "names": [f"{name}.pos" for name in joint_names],
    }
    images = {
        IMAGES + key: {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": height,
                "video.width": width,
                "video.codec": codec,
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "video.fps": fps,
                "video.channels": 3,
                "has_audio": False,
            },
        }
        for key, (height, width, codec) in videos.items()
    }
    counters = {
        name: {"dtype": "float32" if name == "timestamp" else "int64", "shape": [1], "names": None}
        for name in COUNTERS
    }
    return {STATE: values, ACTION: dict(values), **images, **counters}


def check_compatible(dataset: LeRobotDataset, features: Mapping[str, Any], fps: int) -> None:
    """Raise DatasetError when episodes with these features cannot be appended to `dataset`."""
    if dataset.fps != fps:
        raise DatasetError(
            f"dataset '{dataset.root}' has {dataset.fps} fps, these episodes {fps}; use --fps {dataset.fps}"
        )
    for name in sorted({*features, *dataset.features}):
        old, new = (
            {key: feature.get(key) for key in ("dtype", "shape", "names")} if feature else None
            for feature in (dataset.features.get(name), features.get(name))
        )
        if old != new:
            raise DatasetError(
                f"dataset '{dataset.root}': feature {name} is {old}, in these episodes {new}; "
                "they cannot be in one dataset"
            )


def add_episodes(
    root: Path,
    staging: Path,
    episodes: Sequence[StagedEpisode],
    features: Mapping[str, Any],
    fps: int,
    robot_type: str,
    base: Base,
) -> None:
    """Write the dataset at `root`, or append to it. `staging` is an empty folder on the same disk.

    Doing it again after a crash, with the same `base`, gives the same files. Raises DatasetError.
    """
    before = base.dataset
    if before is not None:
        check_compatible(before, features, fps)
    tasks = list(before.tasks) if before else []
    rows = [dict(row) for row in before.episodes] if before else []
    first_episode, first_index = len(rows), int(before.info["total_frames"]) if before else 0
    lengths = [pyarrow.parquet.read_metadata(episode.frames).num_rows for episode in episodes]

    added: list[dict[str, Any]] = []
    index = first_index
    for offset, length in enumerate(lengths):
        added.append(
            {
                "episode_index": first_episode + offset,
                "length": length,
                "dataset_from_index": index,
                "dataset_to_index": index + length,
            }
        )
        index += length
    _write_rows(staging, episodes, added, fps, tasks, _next(rows, "data"))
    for key in episodes[0].videos:
        number = _next(rows, f"videos/{IMAGES}{key}")
        _write_videos(
            staging, [episode.videos[key] for episode in episodes], added, fps, IMAGES + key, number
        )
    _write_episodes(staging, added, features, _next(rows, "meta/episodes"))

    stats = {
        name: statistics.combined_statistics(
            [*([base.stats[name]] if name in base.stats else []), *(row[f"stats/{name}"] for row in added)]
        )
        for name in features
    }
    _write_json(staging / STATS, stats)
    _write_tasks(staging / TASKS, tasks)
    videos = len(episodes[0].videos)
    info = {
        "codebase_version": VERSION,
        "robot_type": robot_type,
        "total_episodes": first_episode + len(episodes),
        "total_frames": index,
        "total_tasks": len(tasks),
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": DATA_BYTES // 1_000_000,
        "video_files_size_in_mb": VIDEO_BYTES // 1_000_000,
        "fps": fps,
        "splits": {"train": f"0:{first_episode + len(episodes)}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if videos else None,
        "features": dict(features),
    }
    if before is not None:
        info = {**before.info, **{name: info[name] for name in info if name.startswith("total_")}}
        info["splits"] = {"train": f"0:{first_episode + len(episodes)}"}
    _write_json(staging / INFO, info)
    files = [path for path in staging.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: path == staging / INFO):
        target = root / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
    shutil.rmtree(staging)


def _next(rows: Sequence[Mapping[str, Any]], what: str) -> int:
    """The number of the first file of its kind that no earlier episode lies in."""
    numbers = [
        row.get(f"{what}/chunk_index", 0) * CHUNK_FILES + row.get(f"{what}/file_index", 0) for row in rows
    ]
    return max(numbers, default=-1) + 1


def _files(sizes: Sequence[int], limit: int, number: int) -> Iterator[tuple[_Place, slice]]:
    """Share out parts of these sizes among files; a file takes parts until it has reached the limit."""
    begin, total = 0, 0
    for index, size in enumerate(sizes):
        if total >= limit:
            yield _Place(number), slice(begin, index)
            begin, total, number = index, 0, number + 1
        total += size
    yield _Place(number), slice(begin, len(sizes))


def _write_rows(
    staging: Path,
    episodes: Sequence[StagedEpisode],
    added: list[dict[str, Any]],
    fps: int,
    tasks: list[str],
    number: int,
) -> None:
    sizes = [episode.frames.stat().st_size for episode in episodes]
    for place, part in _files(sizes, DATA_BYTES, number):
        path = staging / DATA_PATH.format(**place.indices)
        path.parent.mkdir(parents=True, exist_ok=True)
        writer: pyarrow.parquet.ParquetWriter | None = None
        for episode, row in zip(episodes[part], added[part], strict=True):
            table = pyarrow.parquet.read_table(episode.frames, columns=[STATE, ACTION, "task"])
            asked = table.column("task").to_pylist()
            tasks += [task for task in dict.fromkeys(asked) if task not in tasks]
            frame_index = np.arange(row["length"])
            counters = {
                "timestamp": (frame_index / fps).astype(np.float32),
                "frame_index": frame_index,
                "episode_index": np.full(row["length"], row["episode_index"]),
                "index": row["dataset_from_index"] + frame_index,
                "task_index": np.array([tasks.index(task) for task in asked]),
            }
            table = table.drop_columns(["task"])
            for name, values in counters.items():
                table = table.append_column(name, pyarrow.array(values))
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(path, table.schema, compression="snappy")
            writer.write_table(table)
            row["tasks"] = list(dict.fromkeys(asked))
            row |= {f"data/{name}": value for name, value in place.indices.items()}
            for name in (STATE, ACTION):
                rows = table.column(name).combine_chunks()
                row[f"stats/{name}"] = statistics.value_statistics(
                    rows.flatten().to_numpy().reshape(len(rows), -1)
                )
            row |= {f"stats/{name}": statistics.value_statistics(values) for name, values in counters.items()}
        if writer is not None:
            writer.close()


def _write_videos(
    staging: Path,
    videos: Sequence[StagedVideo],
    added: list[dict[str, Any]],
    fps: int,
    name: str,
    number: int,
) -> None:
    for place, part in _files([video.path.stat().st_size for video in videos], VIDEO_BYTES, number):
        path = staging / VIDEO_PATH.format(video_key=name, **place.indices)
        path.parent.mkdir(parents=True, exist_ok=True)
        lengths = [row["length"] for row in added[part]]
        concatenate_videos(path, zip((video.path for video in videos[part]), lengths, strict=True), fps)
        before = 0
        for video, row in zip(videos[part], added[part], strict=True):
            row |= {f"videos/{name}/{key}": value for key, value in place.indices.items()}
            row[f"videos/{name}/from_timestamp"] = before / fps
            before += row["length"]
            row[f"videos/{name}/to_timestamp"] = before / fps
            row[f"stats/{name}"] = dict(video.statistics)


def _write_episodes(
    staging: Path, added: list[dict[str, Any]], features: Mapping[str, Any], number: int
) -> None:
    place = _Place(number)
    path = staging / EPISODES_PATH.format(**place.indices)
    path.parent.mkdir(parents=True, exist_ok=True)
    videos = [name for name, feature in features.items() if feature["dtype"] == "video"]
    order = ["episode_index", "tasks", "length", "data/chunk_index", "data/file_index"]
    order += ["dataset_from_index", "dataset_to_index"]
    for name in videos:
        keys = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
        order += [f"videos/{name}/{key}" for key in keys]
    columns: dict[str, list[Any]] = {name: [row[name] for row in added] for name in order}
    for name in features:
        for key in ("min", "max", "mean", "std", "count", *statistics.QUANTILES):
            columns[f"stats/{name}/{key}"] = [row[f"stats/{name}"][key] for row in added]
    for key, value in place.indices.items():
        columns[f"meta/episodes/{key}"] = [value] * len(added)
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression="snappy")


def _write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """A pandas frame with the tasks as its unnamed index; written without pandas, which only reads its notes."""
    index = {"name": None, "field_name": TASK_COLUMN, "pandas_type": "unicode", "numpy_type": "object"}
    notes = {
        "index_columns": [TASK_COLUMN],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [
            {
                "name": "task_index",
                "field_name": "task_index",
                "pandas_type": "int64",
                "numpy_type": "int64",
                "metadata": None,
            },
            {**index, "metadata": None},
        ],
        "attributes": {},
        "creator": {"library": "pyarrow", "version": pyarrow.__version__},
        "pandas_version": "2.3.3",
    }
    table = pyarrow.table(
        {"task_index": pyarrow.array(range(len(tasks)), pyarrow.int64()), TASK_COLUMN: pyarrow.array(tasks)}
    ).replace_schema_metadata({"pandas": json.dumps(notes)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path, compression="snappy")


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=4, ensure_ascii=False), encoding="utf-8")
