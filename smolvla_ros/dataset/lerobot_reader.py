# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read LeRobotDataset v3.0 folders, without LeRobot and pandas.

A dataset is a few large files: the rows of many episodes in parquet, their images in mp4, and tables in meta/ with the
position of each episode in them. Depth images (LeRobot 0.6: distances as 12-bit video or 16-bit TIFF) are listed but
not read: decoded as RGB images, their millimetres would become 8-bit grey levels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from smolvla_ros.arrays import BoolArray, Float32Array, ImageArray, IntArray
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.language import COLUMNS, TOOLS, EpisodeLanguage
from smolvla_ros.dataset.lerobot_format import (
    ACTION,
    IMAGES,
    INFO,
    INTERVENTION,
    OWN_FIELD,
    STATE,
    STATS,
    TASK_COLUMN,
    TASKS,
    VERSION,
)
from smolvla_ros.dataset.video import decode_video
from smolvla_ros.feature_statistics import Values
from smolvla_ros.image import bgr_to_rgb
from smolvla_ros.robot import RobotSpec

NEEDED = {"fps": int, "features": dict, "total_episodes": int, "total_frames": int, "data_path": str}
DEPTH_FLAGS, DEPTH_SUFFIX = ("is_depth_map", "video.is_depth_map"), "_depth"  # of LeRobot 0.6 and of 0.4


@dataclass(frozen=True, eq=False)
class EpisodeFrames:
    """The n rows of an episode without images; state and action in LeRobot's units."""

    state: Float32Array  # (n, joints)
    action: Float32Array  # (n, joints)
    timestamp: Float32Array  # (n,) s since the episode began
    frame_index: IntArray  # (n,)
    index: IntArray  # (n,) in the whole dataset
    task_index: IntArray  # (n,)
    tasks: list[str]  # n
    intervention: BoolArray  # (n,) whether a person commanded; False where the dataset does not say


@dataclass(frozen=True, eq=False)
class LeRobotDataset:
    """The tables of a dataset; `frames` and `images` read its rows and images."""

    root: Path
    info: Mapping[str, Any]
    tasks: tuple[str, ...]  # by task_index
    episodes: tuple[Mapping[str, Any], ...]  # rows of meta/episodes, without statistics
    stats: Mapping[str, Any]  # stats.json, over all episodes; empty if there is none

    @property
    def fps(self) -> int:
        return int(self.info["fps"])

    @property
    def features(self) -> Mapping[str, Any]:
        return dict(self.info["features"])

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """The functions that the language columns may call, as the dataset states them (LeRobot 0.6)."""
        return tuple(self.info.get(TOOLS) or ())

    @property
    def has_language(self) -> bool:
        return any(name in self.features for name in COLUMNS)

    @property
    def units(self) -> Mapping[str, str]:
        """Joint -> unit of state and action, which this package's datasets state; empty if it is not known."""
        own = self.info.get(OWN_FIELD)
        return dict(own.get("units", {})) if isinstance(own, dict) else {}

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Of each episode, as this package's datasets state them: success, failure, or empty if it is not known."""
        own = self.info.get(OWN_FIELD)
        known = own.get("outcomes", []) if isinstance(own, dict) else []
        return (*known, *[""] * len(self.episodes))[: len(self.episodes)]

    def other_units(self, robot: RobotSpec) -> str:
        """Which joints the dataset states in another unit than the robot; empty: none, or the units are not known."""
        units = self.units
        return ", ".join(
            f"{joint.name} in {units[joint.name]}, not {joint.unit}"
            for joint in robot.joints
            if units.get(joint.name, joint.unit) != joint.unit
        )

    @property
    def image_keys(self) -> tuple[str, ...]:
        """The cameras with RGB images, without `observation.images.`."""
        return tuple(key for key, is_depth in self._cameras() if not is_depth)

    @property
    def depth_keys(self) -> tuple[str, ...]:
        """The cameras with depth images, without `observation.images.`."""
        return tuple(key for key, is_depth in self._cameras() if is_depth)

    @property
    def depth_note(self) -> str:
        """The message for users of a dataset with `depth_keys`."""
        return f"depth images are left out: {', '.join(self.depth_keys)}"

    @classmethod
    def load(cls, root: str | Path) -> LeRobotDataset:
        """Read the tables of the dataset at `root`; raises DatasetError."""
        root = Path(root)
        info = read_json(root / INFO)
        version = info.get("codebase_version")
        if version != VERSION:
            raise DatasetError(
                f"dataset '{root}' has version {version}, expected {VERSION}; LeRobot converts older versions: "
                "python -m lerobot.datasets.v30.convert_dataset_v21_to_v30"
            )
        for key, kind in NEEDED.items():
            if not isinstance(info.get(key), kind):
                raise DatasetError(
                    f"dataset '{root}': {INFO} has {key}: {info.get(key)!r:.80}, expected {kind.__name__}; download "
                    "the dataset again"
                )
        total = int(info["total_episodes"])
        rows: list[Mapping[str, Any]] = []
        for file in sorted(root.glob("meta/episodes/*/*.parquet")):
            columns = [name for name in _schema(file).names if not name.startswith("stats/")]
            rows += _table(file, columns).to_pylist()
        # rows beyond the total are left over from an interrupted append
        episodes = sorted(
            (r for r in rows if r["episode_index"] < total), key=lambda row: row["episode_index"]
        )
        if [row["episode_index"] for row in episodes] != list(range(total)):
            raise DatasetError(
                f"dataset '{root}': {INFO} has {total} episodes, meta/episodes has {len(episodes)}; download it again"
            )
        stats = read_json(root / STATS) if (root / STATS).exists() else {}
        return cls(root, info, _tasks(root / TASKS), tuple(episodes), stats)

    def statistics(self, feature: str) -> Values:
        """The statistics of a feature in `stats` but its count: name -> values in the feature's shape."""
        return {
            name: np.asarray(values, np.float32)
            for name, values in self.stats[feature].items()
            if name != "count"
        }

    def frames(self, episode: int) -> EpisodeFrames:
        """The rows of an episode; raises DatasetError."""
        names = [STATE, ACTION, "timestamp", "frame_index", "index", "task_index"]
        if INTERVENTION in self.features:
            names.append(INTERVENTION)
        columns = self.columns(episode, names)
        task_index = columns["task_index"].astype(np.int64)
        if len(task_index) and not 0 <= task_index.min() <= task_index.max() < len(self.tasks):
            raise DatasetError(
                f"'{self._data_path(self._row(episode))}': task_index {task_index.max()}, but there are "
                f"{len(self.tasks)} tasks"
            )
        return EpisodeFrames(
            state=columns[STATE].astype(np.float32),
            action=columns[ACTION].astype(np.float32),
            timestamp=columns["timestamp"].astype(np.float32),
            frame_index=columns["frame_index"].astype(np.int64),
            index=columns["index"].astype(np.int64),
            task_index=task_index,
            tasks=[self.tasks[i] for i in task_index],
            intervention=columns.get(INTERVENTION, np.zeros(len(task_index))).astype(np.bool_).ravel(),
        )

    def columns(self, episode: int, features: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
        """Features that are no images, of the rows of an episode: (n,) or (n, width). Raises DatasetError."""
        row = self._row(episode)
        path = self._data_path(row)
        table = _table(path, list(features), [("episode_index", "=", episode)])
        expected = row["dataset_to_index"] - row["dataset_from_index"]
        if len(table) != expected:
            raise DatasetError(f"'{path}' has {len(table)} rows of episode {episode}, expected {expected}")
        return {name: column_values(table.column(name)) for name in features}

    def language(self, episode: int) -> EpisodeLanguage:
        """What the language columns say about an episode; empty if there are none. Raises DatasetError."""
        names = [name for name in COLUMNS if name in self.features]
        if not names:
            return EpisodeLanguage()
        path = self._data_path(self._row(episode))
        table = _table(path, names, [("episode_index", "=", episode)])
        return EpisodeLanguage.of_columns(table.to_pydict(), self.fps)

    def values(self, feature: str) -> npt.NDArray[Any]:
        """A feature that is no image, of all rows of the dataset: (n,) or (n, width). Raises DatasetError."""
        paths = dict.fromkeys(self._data_path(row) for row in self.episodes)
        within = [("episode_index", "<", len(self.episodes))]
        return np.concatenate(
            [column_values(_table(path, [feature], within).column(feature)) for path in paths]
        )

    def images(self, episode: int, image_key: str, begin: int = 0) -> Iterator[ImageArray]:
        """The RGB images (height, width, 3) of a camera from row `begin`; raises DatasetError, VideoError."""
        row, name = self._row(episode), IMAGES + image_key
        count = row["dataset_to_index"] - row["dataset_from_index"]
        if image_key in self.depth_keys:
            raise DatasetError(f"dataset '{self.root}': {name} holds depth images, which are not read")
        if video := self.video_of(episode, image_key):
            path, first = video
            yield from decode_video(path, (first + begin) / self.fps, count - begin, self.fps)
            return
        if name not in self.features:
            raise DatasetError(f"dataset '{self.root}' has no camera {image_key}, it has {self.image_keys}")
        path = self._data_path(row)
        for cell in _table(path, [name], [("episode_index", "=", episode)]).column(name)[begin:]:
            picture = cv2.imdecode(np.frombuffer(cell["bytes"].as_py(), np.uint8), cv2.IMREAD_COLOR)
            if picture is None:
                raise DatasetError(f"'{path}': an image of {name} in episode {episode} is damaged")
            yield bgr_to_rgb(picture)

    def video_of(self, episode: int, image_key: str) -> tuple[Path, int] | None:
        """The video with the images of an episode, and the number of its first frame there; None: not in a video."""
        row, name = self._row(episode), IMAGES + image_key
        if self.features.get(name, {}).get("dtype") != "video":
            return None
        where = f"videos/{name}/"
        path = self.root / self.info["video_path"].format(
            video_key=name, chunk_index=row[f"{where}chunk_index"], file_index=row[f"{where}file_index"]
        )
        return path, round(row[f"{where}from_timestamp"] * self.fps)

    def _cameras(self) -> Iterator[tuple[str, bool]]:
        for name, feature in self.features.items():
            if name.startswith(IMAGES):
                yield name[len(IMAGES) :], _is_depth(name, feature)

    def _data_path(self, row: Mapping[str, Any]) -> Path:
        """The parquet file with the rows of an episode, given its row of meta/episodes."""
        pattern = str(self.info["data_path"])
        numbers = {name: row.get(f"data/{name}", 0) for name in ("chunk_index", "file_index")}
        return self.root / pattern.format(**numbers)

    def _row(self, episode: int) -> Mapping[str, Any]:
        if not 0 <= episode < len(self.episodes):
            raise DatasetError(
                f"dataset '{self.root}' has no episode {episode}, it has {len(self.episodes)} from 0"
            )
        return self.episodes[episode]


def _is_depth(name: str, feature: Mapping[str, Any]) -> bool:
    """Whether an image feature holds distances: by its flag, or without a flag by LeRobot's suffix for its name."""
    attributes = {**(feature.get("video_info") or {}), **(feature.get("info") or {})}
    stated = [bool(attributes[key]) for key in DEPTH_FLAGS if key in attributes]
    return any(stated) if stated else name.endswith(DEPTH_SUFFIX)


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a file of a dataset; raises DatasetError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(
            f"'{path}' cannot be read: {error.strerror}; is this a LeRobot dataset?"
        ) from error
    except ValueError as error:
        raise DatasetError(f"'{path}' is not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise DatasetError(f"'{path}' must contain a mapping, it contains {data!r:.80}")
    return data


def _tasks(path: Path) -> tuple[str, ...]:
    table = _table(path)
    column = TASK_COLUMN if TASK_COLUMN in table.column_names else "task"
    if column not in table.column_names or "task_index" not in table.column_names:
        raise DatasetError(f"'{path}' has columns {table.column_names}, expected task_index and the task")
    rows = sorted(zip(table.column("task_index").to_pylist(), table.column(column).to_pylist(), strict=True))
    if [index for index, _ in rows] != list(range(len(rows))):
        raise DatasetError(f"'{path}': task_index must count from 0, it is {[index for index, _ in rows]}")
    return tuple(str(task) for _, task in rows)


def _schema(path: Path) -> pyarrow.Schema:
    try:
        return pyarrow.parquet.read_schema(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetError(f"'{path}' cannot be read: {error}") from error


def _table(path: Path, columns: list[str] | None = None, filters: Any = None) -> pyarrow.Table:
    try:
        return pyarrow.parquet.read_table(path, columns=columns, filters=filters, partitioning=None)
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        raise DatasetError(f"'{path}' cannot be read: {error}; download the dataset again") from error


def column_values(column: pyarrow.ChunkedArray) -> npt.NDArray[Any]:
    """A column of numbers as (n,), a column of lists of equal length as (n, width)."""
    kind = column.type
    if pyarrow.types.is_list(kind) or pyarrow.types.is_fixed_size_list(kind):
        flat = pyarrow.compute.list_flatten(column).to_numpy()
        return np.asarray(flat).reshape(len(column), -1)
    return np.asarray(column.to_numpy())
