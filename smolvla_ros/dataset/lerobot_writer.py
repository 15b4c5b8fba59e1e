# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write finished episodes to a LeRobotDataset v3.0 folder, a new one or an existing one.

All files are first written to a staging folder, then moved into the dataset one by one, `info.json` last. Readers go by
`info.json`, so an interrupted move leaves the old dataset readable, and repeating it gives the same files.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet

from smolvla_ros.dataset import statistics
from smolvla_ros.dataset.compatibility import check_compatible
from smolvla_ros.dataset.global_statistics import (
    HISTOGRAMS,
    StatisticsBefore,
    exact_statistics,
    lerobot_statistics,
)
from smolvla_ros.dataset.language import (
    COLUMNS,
    DTYPE,
    NO_LANGUAGE,
    TOOLS,
    EpisodeLanguage,
    language_types,
    merged_tools,
)
from smolvla_ros.dataset.lerobot_format import (
    CHUNK_FILES,
    COUNTERS,
    DATA_PATH,
    EPISODES_PATH,
    IMAGES,
    INFO,
    OWN_FIELD,
    STATS,
    TASKS,
    VERSION,
    VIDEO_PATH,
    tasks_table,
)
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset, column_values
from smolvla_ros.dataset.statistics import ImageHistogram
from smolvla_ros.dataset.video import concatenate_videos, stream_header

DATA_BYTES, VIDEO_BYTES = 100_000_000, 200_000_000  # no episode is added to a file of this size


@dataclass(frozen=True)
class StagedVideo:
    """The images of one camera in one episode."""

    path: Path
    height: int
    width: int
    codec: str
    histogram: ImageHistogram


@dataclass(frozen=True)
class StagedEpisode:
    """An episode that is ready to be added to a dataset."""

    frames: (
        Path  # parquet with the columns task, observation.state, action and other features that are no images
    )
    videos: Mapping[str, StagedVideo]  # image key -> video
    outcome: str = ""  # success or failure; empty: not known
    language: EpisodeLanguage = NO_LANGUAGE
    rows: slice = field(default_factory=lambda: slice(None))  # of those in `frames`


@dataclass(frozen=True)
class DatasetBefore:
    """The state before the episodes are added."""

    dataset: LeRobotDataset | None = None  # the dataset to append to; None: a new one is written
    # its statistics; after an interruption its files may already be the new ones
    statistics: StatisticsBefore = field(default_factory=StatisticsBefore)


@dataclass(frozen=True)
class _FileNumber:
    """The number of a parquet or mp4 file, counted over all chunk folders."""

    number: int

    @property
    def indices(self) -> dict[str, int]:
        return {"chunk_index": self.number // CHUNK_FILES, "file_index": self.number % CHUNK_FILES}


def add_episodes(
    root: Path,
    staging: Path,
    episodes: Sequence[StagedEpisode],
    features: Mapping[str, Any],
    fps: int,
    robot_type: str,
    units: Mapping[str, str],
    before: DatasetBefore,
    tools: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the dataset at `root`, or append to it. `units`: joint -> unit of state and action. `staging` is a folder
    on the same disk, for this only; files that are in it already become part of the dataset. `tools`: of the language.

    Repeating it after an interruption, with the same `before`, gives the same files. Raises DatasetError.
    """
    old = before.dataset
    if old is not None:
        check_compatible(old, features, fps, units)
    tasks = list(old.tasks) if old else []
    rows = [dict(row) for row in old.episodes] if old else []
    added = _numbered(episodes, len(rows), int(old.info["total_frames"]) if old else 0)
    has_language = any(name in features for name in COLUMNS)
    no_vectors = ("video", DTYPE)
    vectors = [
        name for name in features if name not in COUNTERS and features[name]["dtype"] not in no_vectors
    ]
    values = _write_rows(
        staging, episodes, added, fps, tasks, vectors, _next_file(rows, "data"), has_language
    )
    histograms = {}
    for key in episodes[0].videos:
        name = IMAGES + key
        histograms[name] = ImageHistogram.sum(episode.videos[key].histogram for episode in episodes)
        videos = [episode.videos[key] for episode in episodes]
        _write_videos(staging, videos, added, fps, name, _next_file(rows, f"videos/{name}"))
    _write_episodes(staging, added, features, _next_file(rows, "meta/episodes"))
    pyarrow.parquet.write_table(tasks_table(tasks), staging / TASKS, compression="snappy")
    _write_statistics(staging, before, values, histograms, added)
    totals = {
        "total_episodes": len(rows) + len(episodes),
        "total_frames": added[-1]["dataset_to_index"],
        "total_tasks": len(tasks),
        "splits": {"train": f"0:{len(rows) + len(episodes)}"},
    }
    info = dict(old.info) if old else _new_info(features, fps, robot_type, units)
    outcomes = [*(old.outcomes if old else ()), *(episode.outcome for episode in episodes)]
    if any(outcomes):
        info[OWN_FIELD] = {**info.get(OWN_FIELD, {}), "outcomes": outcomes}
    if tools := merged_tools([info.get(TOOLS) or (), tools]):
        info[TOOLS] = tools
    _write_json(staging / INFO, {**info, **totals})
    _move_files(staging, root)


def _numbered(episodes: Sequence[StagedEpisode], number: int, index: int) -> list[dict[str, Any]]:
    """The rows of meta/episodes, begun, of episodes from this number on, whose frames count from `index`."""
    rows = []
    for episode_index, episode in enumerate(episodes, number):
        length = len(range(pyarrow.parquet.read_metadata(episode.frames).num_rows)[episode.rows])
        begin, index = index, index + length
        counts = {"dataset_from_index": begin, "dataset_to_index": index}
        rows.append({"episode_index": episode_index, "length": length, **counts})
    return rows


def _write_statistics(
    staging: Path,
    before: DatasetBefore,
    values: dict[str, list[npt.NDArray[Any]]],
    histograms: dict[str, ImageHistogram],
    added: list[dict[str, Any]],
) -> None:
    """`values` and `histograms` are those of the added episodes, by feature."""
    if before.dataset and not before.statistics.histograms:
        stats = lerobot_statistics(before.statistics.stats, added, [*values, *histograms])
    else:
        if before.dataset:
            values = {name: [before.dataset.values(name), *parts] for name, parts in values.items()}
            histograms = {
                name: ImageHistogram.sum(
                    [ImageHistogram.from_json(before.statistics.histograms[name]), histogram]
                )
                for name, histogram in histograms.items()
            }
        stats = exact_statistics(values, histograms)
        counts = {name: histogram.to_json() for name, histogram in histograms.items()}
        (staging / HISTOGRAMS).write_text(json.dumps(counts), encoding="utf-8")
    _write_json(staging / STATS, stats)


def _new_info(
    features: Mapping[str, Any], fps: int, robot_type: str, units: Mapping[str, str]
) -> dict[str, Any]:
    """info.json of a dataset without episodes, its keys in LeRobot's order, then our own."""
    has_videos = any(feature["dtype"] == "video" for feature in features.values())
    return {
        "codebase_version": VERSION,
        "robot_type": robot_type,
        "total_episodes": 0,
        "total_frames": 0,
        "total_tasks": 0,
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": DATA_BYTES // 1_000_000,
        "video_files_size_in_mb": VIDEO_BYTES // 1_000_000,
        "fps": fps,
        "splits": {},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if has_videos else None,
        "features": dict(features),
        OWN_FIELD: {"units": dict(units)},
    }


def _move_files(staging: Path, root: Path) -> None:
    """Move all files to the same places under `root`, info.json last, and remove the empty folders."""
    files = [path for path in staging.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: path == staging / INFO):
        target = root / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
    shutil.rmtree(staging)


def _next_file(rows: Sequence[Mapping[str, Any]], kind: str) -> int:
    """The number of the first file of this kind without episodes."""
    numbers = [
        row.get(f"{kind}/chunk_index", 0) * CHUNK_FILES + row.get(f"{kind}/file_index", 0) for row in rows
    ]
    return max(numbers, default=-1) + 1


def _files(
    sizes: Sequence[int], limit: int, number: int, headers: Sequence[bytes] = ()
) -> Iterator[tuple[_FileNumber, slice]]:
    """Distribute parts of these sizes (bytes) among files; parts are added to a file until it reaches the limit, or
    the next part has another header."""
    begin, total = 0, 0
    for index, size in enumerate(sizes):
        if total >= limit or (headers and headers[index] != headers[begin]):
            yield _FileNumber(number), slice(begin, index)
            begin, total, number = index, 0, number + 1
        total += size
    yield _FileNumber(number), slice(begin, len(sizes))


def _write_rows(
    staging: Path,
    episodes: Sequence[StagedEpisode],
    added: list[dict[str, Any]],
    fps: int,
    tasks: list[str],
    vectors: Sequence[str],
    number: int,
    has_language: bool,
) -> dict[str, list[npt.NDArray[Any]]]:
    """`vectors`: the features in the episodes' rows. Returns the values of each feature, by episode."""
    by_feature: dict[str, list[npt.NDArray[Any]]] = {}
    sizes = [episode.frames.stat().st_size for episode in episodes]
    for file, part in _files(sizes, DATA_BYTES, number):
        path = staging / DATA_PATH.format(**file.indices)
        path.parent.mkdir(parents=True, exist_ok=True)
        writer: pyarrow.parquet.ParquetWriter | None = None
        types = language_types(episode.language for episode in episodes[part]) if has_language else {}
        for episode, row in zip(episodes[part], added[part], strict=True):
            table = pyarrow.parquet.read_table(episode.frames, columns=[*vectors, "task"])[episode.rows]
            frame_tasks = table.column("task").to_pylist()
            tasks += [task for task in dict.fromkeys(frame_tasks) if task not in tasks]
            frame_index = np.arange(row["length"])
            counters = {
                "timestamp": (frame_index / fps).astype(np.float32),
                "frame_index": frame_index,
                "episode_index": np.full(row["length"], row["episode_index"]),
                "index": row["dataset_from_index"] + frame_index,
                "task_index": np.array([tasks.index(task) for task in frame_tasks]),
            }
            table = table.drop_columns(["task"])
            for name, values in counters.items():
                table = table.append_column(name, pyarrow.array(values))
            language = episode.language.to_columns(row["length"], fps)
            for name, kind in types.items():
                table = table.append_column(name, pyarrow.array(language[name], kind))
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(path, table.schema, compression="snappy")
            writer.write_table(table)
            row["tasks"] = list(dict.fromkeys(frame_tasks))
            row |= {f"data/{name}": value for name, value in file.indices.items()}
            arrays = {name: column_values(table.column(name)) for name in vectors}
            for name, array in {**arrays, **counters}.items():
                row[f"stats/{name}"] = statistics.value_statistics(array)
                by_feature.setdefault(name, []).append(array)
        if writer is not None:
            writer.close()
    return by_feature


def _write_videos(
    staging: Path,
    videos: Sequence[StagedVideo],
    added: list[dict[str, Any]],
    fps: int,
    name: str,
    number: int,
) -> None:
    sizes = [video.path.stat().st_size for video in videos]
    headers = [stream_header(video.path) for video in videos]
    for file, part in _files(sizes, VIDEO_BYTES, number, headers):
        path = staging / VIDEO_PATH.format(video_key=name, **file.indices)
        path.parent.mkdir(parents=True, exist_ok=True)
        lengths = [row["length"] for row in added[part]]
        concatenate_videos(path, zip((video.path for video in videos[part]), lengths, strict=True), fps)
        before = 0
        for video, row in zip(videos[part], added[part], strict=True):
            row |= {f"videos/{name}/{key}": value for key, value in file.indices.items()}
            row[f"videos/{name}/from_timestamp"] = before / fps
            before += row["length"]
            row[f"videos/{name}/to_timestamp"] = before / fps
            row[f"stats/{name}"] = video.histogram.statistics()


def _write_episodes(
    staging: Path, added: list[dict[str, Any]], features: Mapping[str, Any], number: int
) -> None:
    file = _FileNumber(number)
    path = staging / EPISODES_PATH.format(**file.indices)
    path.parent.mkdir(parents=True, exist_ok=True)
    videos = [name for name, feature in features.items() if feature["dtype"] == "video"]
    order = ["episode_index", "tasks", "length", "data/chunk_index", "data/file_index"]
    order += ["dataset_from_index", "dataset_to_index"]
    for name in videos:
        keys = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
        order += [f"videos/{name}/{key}" for key in keys]
    columns: dict[str, list[Any]] = {name: [row[name] for row in added] for name in order}
    for name in (name for name, feature in features.items() if feature["dtype"] != DTYPE):
        for key in ("min", "max", "mean", "std", "count", *statistics.QUANTILES):
            columns[f"stats/{name}/{key}"] = [row[f"stats/{name}"][key] for row in added]
    for key, value in file.indices.items():
        columns[f"meta/episodes/{key}"] = [value] * len(added)
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression="snappy")


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=4, ensure_ascii=False), encoding="utf-8")
