# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Instructions by a vision-language model as in the SmolVLA paper (2506.01844, section 3.2): short, first a verb.

An answer that breaks the rule is rewritten with its own words where that is possible, else the model is asked again and
told what was wrong. What is still wrong after the last attempt is left for a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from smolvla_ros.arrays import ImageArray
from smolvla_ros.curation.dataset_images import Place, contact_sheet, spread_over_episode
from smolvla_ros.curation.vision_language_model import Question, VisionLanguageModel
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.task_text import MAX_CHARACTERS, suggest_task, task_problem

FILLER = re.compile(
    r"\b(please|carefully|gently|slowly|successfully|properly|simply|just|robot(ic)?|arm|video|images?|pictures?)\b",
    re.I,
)
PICTURE_HEIGHT = 224  # pixels, of each image that the model sees


@dataclass(frozen=True)
class Case:
    """An instruction to replace: of one episode, or of all frames with its wording."""

    old: str
    places: tuple[Place, ...]  # the frames that the model sees
    episode: int | None = None  # None: of all frames with this wording

    @property
    def key(self) -> str:
        """What identifies it in the file of answers."""
        return self.old if self.episode is None else f"episode {self.episode}"


@dataclass(frozen=True)
class Annotation:
    """The answers to a case, and the instruction made of them; empty: it is left for a person."""

    case: Case
    new: str
    answers: tuple[str, ...]

    @property
    def problem(self) -> str:
        """What is wrong with the last answer, if it is left for a person."""
        last = self.answers[-1] if self.answers else ""
        return "" if self.new else f"'{last}' {instruction_problem(cleaned(last))}"


def cases_by_task(dataset: LeRobotDataset, count: int) -> list[Case]:
    """A case for each wording, with `count` frames of the middle one of the episodes in which it occurs."""
    episodes: dict[str, list[int]] = {}
    for number, row in enumerate(dataset.episodes):
        for task in row["tasks"]:
            episodes.setdefault(task, []).append(number)
    cases = []
    for task, numbers in episodes.items():
        episode = numbers[len(numbers) // 2]
        rows = [frame for frame, each in enumerate(dataset.frames(episode).tasks) if each == task]
        chosen = [rows[int((k + 0.5) * len(rows) / count)] for k in range(count)]
        cases.append(Case(task, tuple((episode, frame) for frame in dict.fromkeys(chosen))))
    return cases


def cases_by_episode(dataset: LeRobotDataset, count: int) -> list[Case]:
    """A case with `count` frames for each episode, but those whose instruction changes on the way."""
    return [
        Case(row["tasks"][0], tuple(spread_over_episode(dataset, number, count)), number)
        for number, row in enumerate(dataset.episodes)
        if len(row["tasks"]) == 1
    ]


def picture(dataset: LeRobotDataset, cameras: Sequence[str], case: Case) -> ImageArray:
    """What the model sees of a case; raises DatasetError, VideoError."""
    return contact_sheet(dataset, cameras, case.places, PICTURE_HEIGHT)


def annotate(
    model: VisionLanguageModel,
    cases: Sequence[Case],
    pictures: Sequence[ImageArray],
    prompt: str,
    attempts: int,
) -> list[Annotation]:
    """The instruction of each case, with its picture; all are asked together, again up to `attempts` times.

    `prompt`: text with {task}, {characters} and {feedback}. Raises ModelError.
    """
    answers: list[list[str]] = [[] for _ in cases]
    new = [""] * len(cases)
    for _ in range(attempts):
        pending = [number for number, text in enumerate(new) if not text]
        questions = [Question([pictures[k]], _question(prompt, cases[k], answers[k])) for k in pending]
        for number, answer in zip(pending, model.answer(questions) if questions else [], strict=True):
            answers[number].append(answer)
            new[number] = instruction_of(answer)
    return [
        Annotation(case, text, tuple(given)) for case, text, given in zip(cases, new, answers, strict=True)
    ]


def _question(prompt: str, case: Case, answers: Sequence[str]) -> str:
    feedback = ""
    if answers:
        last = cleaned(answers[-1])
        feedback = f'Your last answer was "{last}". It {instruction_problem(last)}. Answer again.'
    known = {"{task}": case.old, "{characters}": str(MAX_CHARACTERS), "{feedback}": feedback}
    return re.sub(r"\{(task|characters|feedback)\}", lambda found: known[found[0]], prompt).strip()


def instruction_of(answer: str) -> str:
    """The instruction in a model's answer, rewritten with its own words if needed; empty if that does not succeed."""
    text = cleaned(answer)
    if not instruction_problem(text):
        return text
    shorter = suggest_task(text)
    return "" if not shorter or instruction_problem(shorter) else shorter


def cleaned(answer: str) -> str:
    """The first line of an answer without quotes, Markdown and full stop."""
    lines = [line.strip(" \t\"'`*.-") for line in answer.splitlines()]
    text = next((line for line in lines if line), "")
    return text[:1].upper() + text[1:]


def instruction_problem(text: str) -> str:
    """What is wrong with a new instruction, for a message: the rule of `task_problem`, and filler."""
    filler = FILLER.search(text)
    return task_problem(text) or (f"has filler: '{filler[0]}'" if filler else "")
