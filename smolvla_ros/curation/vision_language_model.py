# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model that answers questions about images: one of transformers, in this process, or one behind an address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from smolvla_ros.arrays import ImageArray
from smolvla_ros.settings import Settings, setting

DEFAULT_MODEL = "Qwen/Qwen2.5-VL-3B-Instruct"  # that of the SmolVLA paper


class ModelError(RuntimeError):
    """A model cannot be loaded or does not answer; the message names it and the remedy."""


@dataclass(frozen=True, eq=False)
class Question:
    """A text about some RGB images (height, width, 3)."""

    images: Sequence[ImageArray]
    text: str


class VisionLanguageModel(Protocol):
    """Answers questions, several at a time."""

    def answer(self, questions: Sequence[Question]) -> list[str]:
        """One answer for each; raises ModelError."""


@dataclass(frozen=True)
class ModelSettings(Settings):
    """Which model, and how it is asked."""

    model: str = setting(
        DEFAULT_MODEL, "folder or hub id of an image-text-to-text model, or the name at --url; %(default)s"
    )
    url: str = setting(
        "", "OpenAI-compatible endpoint, such as http://localhost:8000/v1 of vLLM; empty: transformers"
    )
    device: str = setting("", "of transformers, such as cuda or cpu; empty: a GPU if there is one")
    batch: int = setting(4, "questions at a time", bounds=(1, 256))
    max_tokens: int = setting(40, "of an answer", bounds=(1, 1000))
