# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write edited datasets: rows and videos of clips are copied, statistics are computed anew, the origin is recorded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from smolvla_ros.dataset.compatibility import check_compatible
from smolvla_ros.dataset.edits import Clip, Edits, clip_language, clip_tasks, edited_features
from smolvla_ros.dataset.episode_identity import episode_digest
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.language import DTYPE, language_features, merged_tools
from smolvla_ros.dataset.lerobot_format import ACTION, COUNTERS, STATE
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset, read_json
from smolvla_ros.dataset.lerobot_writer import DatasetBefore, StagedEpisode, add_episodes
from smolvla_ros.dataset.output_lock import locked_folder
from smolvla_ros.dataset.parallel_steps import run_all
from smolvla_ros.dataset.staging import StagingFolder
from smolvla_ros.worker_pool import worker_pool

HISTORY = "meta/edits.json"  # what was done to which episodes


def write_edited(
    parts: Mapping[str, Sequence[Clip]],
    datasets: Sequence[LeRobotDataset],
    edits: Edits,
    output: Path,
    jobs: int,
) -> dict[str, LeRobotDataset]:
    """Write each part to the folder of its name in `output`; with an empty name, to `output` itself.

    `output` appears when all is written. Raises DatasetError, VideoError.
    """
    output = output.resolve()
    features, units = _common_form(datasets, edits)
    for dataset in datasets:
        if output.is_relative_to(dataset.root.resolve()):
            raise DatasetError(f"output '{output}' is in the input '{dataset.root}'; give another folder")
    with _new_folder(output) as work:
        histories = {name: _history(clips, datasets, edits) for name, clips in parts.items()}
        staged = _stage(parts, edits, work, jobs)
        for name, history in histories.items():
            staging = work / "staging"
            (staging / HISTORY).parent.mkdir(parents=True)
            (staging / HISTORY).write_text(
                json.dumps(history, indent=1, ensure_ascii=False), encoding="utf-8"
            )
            first = datasets[0]
            robot_type = str(first.info.get("robot_type") or "")
            add_episodes(
                work / "made" / name,
                staging,
                staged[name],
                features,
                first.fps,
                robot_type,
                units,
                DatasetBefore(),
                merged_tools(dataset.tools for dataset in datasets),
            )
        os.rename(work / "made", output)
    return {name: LeRobotDataset.load(output / name) for name in parts}


def _common_form(
    datasets: Sequence[LeRobotDataset], edits: Edits
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Features and units of the new dataset; raises DatasetError if the inputs differ in them."""
    known = dict.fromkeys(key for dataset in datasets for key in dataset.image_keys)
    for key, name in edits.cameras.items():
        if key not in known:
            raise DatasetError(f"no input has a camera '{key}'; the cameras are {', '.join(known)}")
        if "/" in name:  # LeRobot refuses it, and the videos are in a folder of this name
            raise DatasetError(f"'{name}' cannot be the name of a camera; give one without '/'")
    language = language_features() if any(dataset.has_language for dataset in datasets) else {}
    forms = [{**edited_features(dataset, edits.cameras), **language} for dataset in datasets]
    units = next((dataset.units for dataset in datasets if dataset.units), {})
    for dataset, features in zip(datasets, forms, strict=True):
        as_edited = replace(dataset, info={**dataset.info, "features": features})
        check_compatible(as_edited, forms[0], datasets[0].fps, units, f"'{datasets[0].root}'")
    return forms[0], units


def _stage(
    parts: Mapping[str, Sequence[Clip]], edits: Edits, work: Path, jobs: int
) -> dict[str, list[StagedEpisode]]:
    """Write the rows of all clips, then in `jobs` processes their videos."""
    staged: dict[str, list[tuple[StagingFolder, Clip]]] = {}
    calls = []
    for name, clips in parts.items():
        for clip in clips:
            folder = StagingFolder(work / f"clip-{sum(map(len, staged.values())):06d}")
            _write_rows(folder, clip, edits)
            staged.setdefault(name, []).append((folder, clip))
            for key in clip.dataset.image_keys:
                found = clip.dataset.video_of(clip.episode, key)
                assert found is not None  # edited_features() refuses other images
                path, first = found
                calls.append((folder, key, path, first + clip.begin, clip.end - clip.begin, clip.dataset.fps))
    with worker_pool(jobs) as pool:
        run_all("copy", pool, StagingFolder.copy_video, calls)
    return {
        name: [
            folder.episode(
                {key: edits.cameras.get(key, key) for key in clip.dataset.image_keys},
                clip.outcome,
                clip_language(clip, edits),
            )
            for folder, clip in episodes
        ]
        for name, episodes in staged.items()
    }


def _write_rows(folder: StagingFolder, clip: Clip, edits: Edits) -> None:
    dataset = clip.dataset
    names = [
        name
        for name, feature in dataset.features.items()
        if name not in COUNTERS and feature["dtype"] not in ("video", DTYPE)
    ]
    columns = {
        name: values[clip.begin : clip.end] for name, values in dataset.columns(clip.episode, names).items()
    }
    folder.write_frames(columns.pop(STATE), columns.pop(ACTION), clip_tasks(clip, edits), columns)


def _history(clips: Sequence[Clip], datasets: Sequence[LeRobotDataset], edits: Edits) -> dict[str, Any]:
    """The inputs with their own history, the edits, and from where each episode comes.

    `tasks` are those of the input, before the edits. `sha256` is the digest of the whole episode of the input, by
    `episode_digest`. Raises DatasetError.
    """
    inputs = []
    for dataset in datasets:
        path = dataset.root / HISTORY
        inputs.append(
            {
                "name": dataset.root.resolve().name,
                "robot_type": dataset.info.get("robot_type"),
                "episodes": len(dataset.episodes),
                "frames": dataset.info["total_frames"],
                "history": read_json(path) if path.exists() else None,
            }
        )
    episodes = []
    for clip in clips:
        rows = clip.dataset.frames(clip.episode)
        episodes.append(
            {
                "input": datasets.index(clip.dataset),
                "episode": clip.episode,
                "frames": [clip.begin, clip.end],
                "tasks": list(dict.fromkeys(rows.tasks[clip.begin : clip.end])),
                "sha256": episode_digest(rows.state, rows.action, rows.tasks).hex(),
            }
        )
    return {
        "edits": {name: value for name, value in asdict(edits).items() if value},
        "inputs": inputs,
        "episodes": episodes,
    }


@contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """A folder for work beside `output`, which is removed at the end, or if the process is killed, by the next one.

    Raises DatasetError if `output` is not free, or another process works on it.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DatasetError(
            f"output '{output}' exists; an edited dataset is always a new one, give another folder"
        )
    work = output.parent / f".{output.name}.edited"
    with locked_folder(work):
        try:
            _remove_content(work)
            yield work
        finally:
            _remove_content(work)


def _remove_content(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path)
