# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an edited dataset consists of: a list of clips, each a range of frames of an episode of an input."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any

from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.language import DTYPE, EpisodeLanguage
from smolvla_ros.dataset.lerobot_format import COUNTERS, IMAGES
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset

Seconds = float


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of an episode, which become an episode of their own."""

    dataset: LeRobotDataset
    episode: int
    begin: int
    end: int  # not included
    task: str = ""  # of all frames; empty: their own
    outcome: str = ""


@dataclass(frozen=True)
class Edits:
    """Changes of datasets. Episodes have their numbers in the input; those of further inputs are counted on.

    Times are seconds since the episode of the input began; frame k is at k / fps.
    """

    drop: Sequence[int] = ()
    keep: Sequence[int] | None = None  # None: all
    trim: Mapping[int, tuple[Seconds, Seconds | None]] = field(
        default_factory=dict
    )  # from, to; None: its end
    split: Mapping[int, Sequence[Seconds]] = field(default_factory=dict)  # begins of further episodes
    tasks: Mapping[int, str] = field(default_factory=dict)  # episode -> task of all its frames
    task_texts: Mapping[str, str] = field(default_factory=dict)  # old -> new, in all episodes
    outcomes: Mapping[int, str] = field(default_factory=dict)
    cameras: Mapping[str, str] = field(
        default_factory=dict
    )  # old -> new image key, without observation.images.


def edited_clips(datasets: Sequence[LeRobotDataset], edits: Edits) -> list[Clip]:
    """The episodes of the new dataset; raises DatasetError."""
    clips = [
        Clip(dataset, episode, 0, row["dataset_to_index"] - row["dataset_from_index"], outcome=outcome)
        for dataset in datasets
        for episode, (row, outcome) in enumerate(zip(dataset.episodes, dataset.outcomes, strict=True))
    ]
    named = {*edits.drop, *(edits.keep or ()), *edits.trim, *edits.split, *edits.tasks, *edits.outcomes}
    if unknown := sorted(named - set(range(len(clips)))):
        raise DatasetError(
            f"there is no episode {unknown[0]}, there are {len(clips)} from 0 in all inputs together"
        )
    for old in edits.task_texts:
        known = dict.fromkeys(task for dataset in datasets for task in dataset.tasks)
        if old not in known:
            raise DatasetError(
                f"no episode has the task '{old}'; the tasks are {', '.join(map(repr, known))}"
            )
    result = []
    for number, clip in enumerate(clips):
        if number in edits.drop or (edits.keep is not None and number not in edits.keep):
            continue
        changed = replace(
            clip,
            task=edits.tasks.get(number, clip.task),
            outcome=edits.outcomes.get(number, clip.outcome),
        )
        bounds = _bounds(clip, number, edits)
        result += [replace(changed, begin=begin, end=end) for begin, end in pairwise(bounds)]
    if not result:
        raise DatasetError("no episode is left; drop fewer, or keep more")
    return result


def _bounds(clip: Clip, number: int, edits: Edits) -> list[int]:
    """The first frame of each part of a trimmed and split episode, then the end."""
    fps = clip.dataset.fps
    begin_s, end_s = edits.trim.get(number, (0.0, None))
    end = clip.end if end_s is None else _first_frame(end_s, fps)
    bounds = [
        _first_frame(begin_s, fps),
        *(_first_frame(cut_s, fps) for cut_s in edits.split.get(number, ())),
        end,
    ]
    if bounds[0] < 0 or end > clip.end or any(later <= earlier for earlier, later in pairwise(bounds)):
        times = ", ".join(f"{bound / fps:g}" for bound in bounds)
        raise DatasetError(
            f"episode {number} would be cut at {times} s; the times must ascend between 0 and {clip.end / fps:g} s, at "
            f"least {1 / fps:.3g} s apart"
        )
    return bounds


def _first_frame(time_s: Seconds, fps: int) -> int:
    """The first frame that is not before a time."""
    return math.ceil(round(time_s * fps, 6))  # rounded: 0.7 * 10 is above 7


def clip_tasks(clip: Clip, edits: Edits) -> list[str]:
    """The task of each frame; raises DatasetError."""
    if clip.task:
        return [clip.task] * (clip.end - clip.begin)
    tasks = clip.dataset.frames(clip.episode).tasks[clip.begin : clip.end]
    return [edits.task_texts.get(task, task) for task in tasks]


def clip_language(clip: Clip, edits: Edits) -> EpisodeLanguage:
    """The language of a clip; raises DatasetError."""
    fps = clip.dataset.fps
    language = clip.dataset.language(clip.episode).cut(clip.begin / fps, clip.end / fps)
    return language.with_cameras(edits.cameras)


def parts_by_task(clips: Sequence[Clip], edits: Edits) -> dict[str, list[Clip]]:
    """The clips of each task by a name for a folder, made of the task's text; raises DatasetError."""
    by_task: dict[str, list[Clip]] = {}
    for clip in clips:
        task, *more = dict.fromkeys(clip_tasks(clip, edits))
        if more:
            raise DatasetError(
                f"dataset '{clip.dataset.root}': episode {clip.episode} has several tasks, '{task}' and "
                f"'{more[0]}'; split it where the task changes, or give it one task"
            )
        by_task.setdefault(task, []).append(clip)
    return {
        f"{number:02d}_{re.sub('[^a-z0-9]+', '_', task.lower())[:60].strip('_')}": part
        for number, (task, part) in enumerate(by_task.items())
    }


def parts_by_share(clips: Sequence[Clip], shares: Mapping[str, float]) -> dict[str, list[Clip]]:
    """The clips in order, distributed among names (of folders) with these shares; raises DatasetError."""
    for name, share in shares.items():
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise DatasetError(
                f"'{name}' cannot be the name of a part; use letters, digits, '_', '-' and '.'"
            )
        if not 0.0 < share < 1.0:
            raise DatasetError(f"part '{name}' has the share {share:g}, it must be between 0 and 1")
    if not math.isclose(total := sum(shares.values()), 1.0, abs_tol=1e-6):
        raise DatasetError(f"the shares add up to {total:g}, they must add up to 1")
    bounds = [0, *(round(share * len(clips)) for share in accumulate(shares.values()))]
    parts = {
        name: list(clips[begin:end]) for name, (begin, end) in zip(shares, pairwise(bounds), strict=True)
    }
    if empty := [name for name, part in parts.items() if not part]:
        raise DatasetError(f"part '{empty[0]}' has no episode, of {len(clips)}; give it a larger share")
    return parts


def edited_features(dataset: LeRobotDataset, cameras: Mapping[str, str]) -> dict[str, Any]:
    """The features of a dataset with renamed cameras. Raises DatasetError if they cannot be copied or renamed."""
    if dataset.depth_keys:
        raise DatasetError(
            f"dataset '{dataset.root}' has depth images ({', '.join(dataset.depth_keys)}), which are not copied; "
            "remove them: lerobot-edit-dataset --operation.type remove_feature"
        )
    for name, feature in dataset.features.items():
        if name in COUNTERS or feature["dtype"] in ("video", DTYPE):
            continue
        if feature["dtype"] == "image":
            raise DatasetError(
                f"dataset '{dataset.root}': {name} is single images, only videos are copied; make videos of them: "
                "lerobot-edit-dataset --operation.type convert_image_to_video"
            )
        is_number = feature["dtype"] == "bool" or feature["dtype"].startswith(("float", "int", "uint"))
        if not is_number or len(feature["shape"]) > 1:
            raise DatasetError(
                f"dataset '{dataset.root}': {name} is {feature['dtype']} of shape {feature['shape']}, only numbers and "
                "vectors are copied; remove it: lerobot-edit-dataset --operation.type remove_feature"
            )
    names = [renamed(name, cameras) for name in dataset.features]
    if double := [name for name in names if names.count(name) > 1]:
        raise DatasetError(f"dataset '{dataset.root}' would have {double[0]} twice; give another name")
    return dict(zip(names, dataset.features.values(), strict=True))


def renamed(name: str, cameras: Mapping[str, str]) -> str:
    """The new name of a feature."""
    key = name.removeprefix(IMAGES)
    return IMAGES + cameras.get(key, key) if name.startswith(IMAGES) else name
