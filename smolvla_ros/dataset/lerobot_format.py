# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of files, columns and features in a LeRobotDataset v3.0 folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow

VERSION = "v3.0"
OBSERVATION = "observation."
STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."
INTERVENTION = "intervention"  # whether a person commanded, as LeRobot 0.6 (rollout, DAgger) records it
COUNTERS = ("timestamp", "frame_index", "episode_index", "index", "task_index")  # columns of every dataset
OWN_FIELD = "smolvla_ros"  # in info.json, which LeRobot ignores: what LeRobot's format does not state
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
CHUNK_FILES = 1000  # files in a folder
TASK_COLUMN = "__index_level_0__"  # the unnamed index of a pandas frame: LeRobot looks tasks up by their text


def dataset_features(
    joint_names: Sequence[str],
    videos: Mapping[str, tuple[int, int, str]],
    fps: int,
    vectors: Mapping[str, Sequence[str]] | None = None,
    has_interventions: bool = False,
) -> dict[str, Any]:
    """The `features` of info.json. `videos`: image key -> height, width, codec. `vectors`: further features -> names of
    their values."""
    positions = [f"{name}.pos" for name in joint_names]
    values = {
        name: {"dtype": "float32", "shape": [len(names)], "names": list(names)}
        for name, names in {STATE: positions, ACTION: positions, **(vectors or {})}.items()
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
    intervention = {INTERVENTION: {"dtype": "bool", "shape": [1], "names": None}} if has_interventions else {}
    return {**values, **images, **intervention, **counters}


def tasks_table(tasks: Sequence[str]) -> pyarrow.Table:
    """meta/tasks.parquet: a pandas frame whose unnamed index are the tasks, made without pandas from its metadata."""

    def column(
        name: str | None, field: str | None, pandas: str, numpy: str, metadata: Any = None
    ) -> dict[str, Any]:
        types = {"pandas_type": pandas, "numpy_type": numpy}
        return {"name": name, "field_name": field, **types, "metadata": metadata}

    metadata = {
        "index_columns": [TASK_COLUMN],
        "column_indexes": [column(None, None, "unicode", "object", {"encoding": "UTF-8"})],
        "columns": [
            column("task_index", "task_index", "int64", "int64"),
            column(None, TASK_COLUMN, "unicode", "object"),
        ],
        "attributes": {},
        "creator": {"library": "pyarrow", "version": pyarrow.__version__},
        "pandas_version": "2.3.3",
    }
    return pyarrow.table(
        {"task_index": pyarrow.array(range(len(tasks)), pyarrow.int64()), TASK_COLUMN: pyarrow.array(tasks)}
    ).replace_schema_metadata({"pandas": json.dumps(metadata)})
