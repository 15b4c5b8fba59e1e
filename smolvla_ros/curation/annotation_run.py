# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An annotation of a dataset: asks for what the file of answers does not have yet, and makes edits of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from smolvla_ros.curation.answer_file import read_answers, write_answers
from smolvla_ros.curation.dataset_images import thumbnails
from smolvla_ros.curation.model_loading import open_model
from smolvla_ros.curation.task_annotation import Annotation, Case, annotate, picture
from smolvla_ros.curation.vision_language_model import ModelSettings
from smolvla_ros.dataset.edits import Edits
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.viewer.table_page import Row

HEAD = ("of", "old", "new")


@dataclass(frozen=True, eq=False)
class AnnotationRun:
    """What is asked about which images of a dataset, and where the answers are kept."""

    dataset: LeRobotDataset
    cameras: Sequence[str]
    prompt: str  # see `annotate`
    attempts: int
    file: Path

    def annotate(self, cases: Sequence[Case], settings: ModelSettings) -> list[Annotation]:
        """Annotations of all cases, from the file or the model. Raises ModelError, DataError, OSError."""
        done = read_answers(self.file, cases)
        known = {each.case.key for each in done}
        todo = [case for case in cases if case.key not in known]
        if not todo:
            return done
        model = open_model(settings)
        with tqdm(total=len(cases), initial=len(done), desc="annotate", unit=" tasks", disable=None) as bar:
            for begin in range(0, len(todo), settings.batch):
                part = todo[begin : begin + settings.batch]
                pictures = [picture(self.dataset, self.cameras, case) for case in part]
                done += annotate(model, part, pictures, self.prompt, self.attempts)
                write_answers(self.file, done)
                bar.update(len(part))
        return done


def rows_of(dataset: LeRobotDataset, annotations: Sequence[Annotation]) -> list[Row]:
    """The rows of a table with HEAD. Raises DataError."""
    return [
        Row(
            (
                "all episodes with it" if each.case.episode is None else f"episode {each.case.episode}",
                each.case.old,
                each.new or f"left for a person: {each.problem}",
            ),
            thumbnails(dataset, dataset.image_keys, each.case.places),
            "ok" if each.new else "warning",
        )
        for each in annotations
    ]


def edits_of(annotations: Sequence[Annotation]) -> Edits:
    """The edits of a dataset that give it these instructions."""
    changed = [each for each in annotations if each.new and each.new != each.case.old]
    return Edits(
        tasks={each.case.episode: each.new for each in changed if each.case.episode is not None},
        task_texts={each.case.old: each.new for each in changed if each.case.episode is None},
    )
