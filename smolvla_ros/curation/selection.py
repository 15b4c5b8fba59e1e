# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's filters over many datasets: embodiment, frame rate, episodes, frames, tasks, cameras, image quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smolvla_ros.curation.dataset_images import images_at, spread_over_dataset
from smolvla_ros.curation.image_quality import ImageSettings, image_faults
from smolvla_ros.dataset.errors import DataError, DatasetError
from smolvla_ros.dataset.lerobot_format import ACTION, IMAGES, INFO, STATE
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.task_text import task_problem, unclear_problem
from smolvla_ros.finding import Finding
from smolvla_ros.robot import RobotSpec
from smolvla_ros.settings import Settings, setting

LOOKED_AT = 12  # images of each camera
NAMED_TASKS = 3  # in a message


@dataclass(frozen=True)
class SelectionSettings(Settings):
    """Which datasets are selected."""

    robot_types: tuple[str, ...] = setting(("so100", "so101"), "begins of the robot types that are selected")
    fps: int = setting(0, "frames per second of all selected; 0: those of most frames", bounds=(0, 1000))
    min_episodes: int = setting(5, "episodes, at least", bounds=(1, None))
    min_frames: int = setting(500, "frames, at least", bounds=(1, None))
    min_task_coverage: float = setting(
        0.9, "share of frames whose instruction says what to do", bounds=(0.0, 1.0)
    )


@dataclass(frozen=True, eq=False)
class SurveyedDataset:
    """A dataset and what was found; `dataset` is None if it cannot be read."""

    path: Path
    dataset: LeRobotDataset | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def found(self, findings: Iterable[Finding]) -> SurveyedDataset:
        """The same with more findings."""
        return replace(self, findings=(*self.findings, *findings))


def find_datasets(paths: Iterable[Path]) -> list[Path]:
    """The dataset folders among and inside of these folders; raises DatasetError if a path has none."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(file.parents[1] for file in path.rglob(INFO))
        if not inside:
            raise DatasetError(f"'{path}' is no dataset and contains none; give folders with {INFO}")
        found += [folder for folder in inside if not _is_hidden(folder.relative_to(path))]
    return list(dict.fromkeys(found))


def _is_hidden(folder: Path) -> bool:
    """Whether it is inside of a hidden folder, as what programs have not completed."""
    return any(part.startswith(".") for part in folder.parts)


def survey_dataset(
    path: Path, robot: RobotSpec, settings: SelectionSettings, image_settings: ImageSettings
) -> SurveyedDataset:
    """What the dataset's tables and some of its images say."""
    try:
        dataset = LeRobotDataset.load(path)
        findings = (*_check_tables(dataset, robot, settings), *_check_images(dataset, image_settings))
    except DataError as error:
        return SurveyedDataset(path, None, (Finding("error", "unreadable", str(error)),))
    return SurveyedDataset(path, dataset, findings)


def _check_tables(
    dataset: LeRobotDataset, robot: RobotSpec, settings: SelectionSettings
) -> Iterator[Finding]:
    kind = str(dataset.info.get("robot_type") or "").lower()
    names = [f"{name}.pos" for name in robot.joint_names]
    is_robot = kind.startswith(settings.robot_types) or (
        kind in ("", "unknown") and dataset.features.get(STATE, {}).get("names") == names
    )
    if not is_robot:
        wanted = ", ".join(settings.robot_types)
        yield Finding(
            "error",
            "embodiment",
            f"its robot_type is '{kind}', not one of {wanted}",
            "Is it the same arm? --robot-types",
        )
    for name in (STATE, ACTION):
        shape = dataset.features.get(name, {}).get("shape")
        if is_robot and shape != [len(names)]:
            yield Finding("error", "embodiment", f"{name} has shape {shape}, expected [{len(names)}]")
    if len(dataset.episodes) < settings.min_episodes:
        yield Finding(
            "error", "episodes", f"it has {len(dataset.episodes)}, fewer than {settings.min_episodes}"
        )
    frames = int(dataset.info["total_frames"])
    if frames < settings.min_frames:
        yield Finding("error", "frames", f"it has {frames}, fewer than {settings.min_frames}")
    yield from _check_tasks(dataset, settings)


def _check_tasks(dataset: LeRobotDataset, settings: SelectionSettings) -> Iterator[Finding]:
    """Whether the instructions say what to do; those that only break the paper's rule are named in a warning."""
    frames: Counter[str] = Counter()
    for row in dataset.episodes:
        tasks = row["tasks"] or ("",)
        for task in tasks:
            frames[task] += (row["dataset_to_index"] - row["dataset_from_index"]) // len(tasks)
    unclear = sum(count for task, count in frames.items() if unclear_problem(task))
    coverage = 1 - unclear / max(1, sum(frames.values()))
    faulty = [f"'{task}' {problem}" for task, _ in frames.most_common() if (problem := task_problem(task))]
    if faulty:
        listed = ", ".join(faulty[:NAMED_TASKS])
        yield Finding(
            "error" if coverage < settings.min_task_coverage else "warning",
            "task",
            f"{coverage:.0%} of the frames have an instruction that says what to do: {listed}",
            "Reword them: annotate_tasks",
        )


def _check_images(dataset: LeRobotDataset, settings: ImageSettings) -> Iterator[Finding]:
    if not dataset.image_keys:
        yield Finding("error", "cameras", "it has no RGB camera")
    places = spread_over_dataset(dataset, LOOKED_AT)
    for camera in dataset.image_keys:
        for fault in image_faults(images_at(dataset, camera, places), settings):
            yield Finding("error", "image quality", fault, where=camera)


def compare_datasets(
    surveys: Sequence[SurveyedDataset], settings: SelectionSettings
) -> list[SurveyedDataset]:
    """The same, with errors for those that cannot be trained together with the most: frame rate, cameras."""
    surveys = _agree(
        surveys,
        lambda dataset: dataset.fps,
        "fps",
        "Convert again with this rate, or choose another: --fps",
        settings.fps or None,
    )
    return _agree(surveys, _cameras, "cameras", "standardize_views names cameras; sizes must be equal too")


def _agree(
    surveys: Sequence[SurveyedDataset],
    property_of: Callable[[LeRobotDataset], Hashable],
    check: str,
    remedy: str,
    wanted: Hashable = None,
) -> list[SurveyedDataset]:
    """An error for each dataset whose property is not `wanted`; None: the one of most frames without errors."""
    frames: Counter[Any] = Counter()
    for survey in surveys:
        if survey.dataset and not survey.errors:
            frames[property_of(survey.dataset)] += int(survey.dataset.info["total_frames"])
    if wanted is None and frames:
        wanted = frames.most_common(1)[0][0]
    result = []
    for survey in surveys:
        found = property_of(survey.dataset) if survey.dataset else wanted
        differs = wanted is not None and found != wanted
        finding = Finding("error", check, f"it has {found}, the selection {wanted}", remedy)
        result.append(survey.found([finding]) if differs else survey)
    return result


def _cameras(dataset: LeRobotDataset) -> str:
    """Names and sizes, as train compares them."""
    sizes = {key: dataset.features[IMAGES + key]["shape"] for key in sorted(dataset.image_keys)}
    return ", ".join(f"{key} {shape[1]}x{shape[0]}" for key, shape in sizes.items())
