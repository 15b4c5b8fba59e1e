# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A vision-language model of transformers' image-text-to-text classes, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from smolvla_ros.curation.vision_language_model import ModelError, Question

MODEL: Any = AutoModelForImageTextToText  # transformers' types of these two are incomplete
PROCESSOR: Any = AutoProcessor


class TransformersModel:
    """Answers greedily, so that the same question has the same answer."""

    def __init__(self, name: str, device: str, max_tokens: int) -> None:
        """`name`: folder or hub id. Raises ModelError."""
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._max_tokens = max_tokens
        try:
            self._processor: Any = PROCESSOR.from_pretrained(name, padding_side="left")
            self._model: Any = MODEL.from_pretrained(name, dtype="auto").to(self._device).eval()
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"model '{name}' cannot be loaded: {reason}; give a folder or hub id of an image-text-to-text model, "
                "install what the message names, or give --url"
            ) from error

    def answer(self, questions: Sequence[Question]) -> list[str]:
        """As of VisionLanguageModel."""
        conversations = [
            [
                {
                    "role": "user",
                    "content": [
                        *({"type": "image", "image": image} for image in question.images),
                        {"type": "text", "text": question.text},
                    ],
                }
            ]
            for question in questions
        ]
        try:
            inputs = self._processor.apply_chat_template(
                conversations,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                padding=True,
            ).to(self._device, self._model.dtype)
            with torch.inference_mode():
                tokens = self._model.generate(**inputs, max_new_tokens=self._max_tokens, do_sample=False)
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"the model cannot answer: {error}; give another model, or a smaller --batch"
            ) from error
        answers = tokens[:, inputs["input_ids"].shape[1] :]
        return list(self._processor.batch_decode(answers, skip_special_tokens=True))
