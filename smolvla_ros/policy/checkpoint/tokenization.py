# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The task's text to token ids, with the settings of the checkpoint's preprocessor."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from torch import Tensor

from smolvla_ros.policy.checkpoint.config import SmolVLAConfig
from smolvla_ros.policy.checkpoint.files import Checkpoint, CheckpointError
from smolvla_ros.policy.checkpoint.pipeline_steps import NEW_LINE, TOKENIZER, Pipeline

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TokenizerSettings:
    name: str
    max_length: int
    pads_to_max_length: bool
    padding_side: str
    truncates: bool
    appends_newline: bool

    @classmethod
    def of(cls, pipeline: Pipeline) -> TokenizerSettings:
        """The settings in a preprocessor."""
        config = pipeline.settings(TOKENIZER)
        side = config.get("padding_side", str, "right")
        if side not in ("left", "right"):
            raise CheckpointError(f"{config.where}: 'padding_side' is {side!r}, expected 'left' or 'right'")
        return cls(
            name=config.get("tokenizer_name", str),
            max_length=config.positive("max_length"),
            pads_to_max_length=_pads(
                config.values.get("padding", "max_length"), f"{config.where}: 'padding'"
            ),
            padding_side=side,
            truncates=config.get("truncation", bool, True),
            appends_newline=NEW_LINE in pipeline.steps,
        )

    @classmethod
    def of_old_checkpoint(cls, checkpoint: Checkpoint, config: SmolVLAConfig) -> TokenizerSettings:
        """The settings of LeRobot 0.1 to 0.3, which had them in code, except that long tasks are truncated here."""
        where = f"{checkpoint.folder / 'config.json'}: 'pad_language_to'"
        return cls(
            name=config.vlm_model_name,
            max_length=config.tokenizer_max_length,
            pads_to_max_length=_pads(config.pad_language_to, where),
            padding_side="right",
            truncates=True,
            appends_newline=True,
        )


class TaskTokenizer:
    """Task to token ids, with the tokenizer of the vision-language model; the last task's tokens are cached.

    Loaded by transformers' AutoTokenizer, as in LeRobot: tokenizer_config.json has precedence over tokenizer.json.
    """

    def __init__(self, backbone: Checkpoint, settings: TokenizerSettings) -> None:
        remedy = "the backbone folder must hold the vision-language model's config.json and tokenizer.json"
        for name in ("tokenizer.json", "tokenizer_config.json"):
            backbone.file(name, remedy)
        from transformers import AutoTokenizer  # imported here: it takes seconds

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(  # type: ignore[no-untyped-call]
                backbone.folder, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # depends on the files' contents
            raise CheckpointError(
                f"{backbone.folder / 'tokenizer.json'} is not a tokenizer ({error}); copy the files again"
            ) from error
        if settings.pads_to_max_length and self._tokenizer.pad_token_id is None:
            raise CheckpointError(f"{backbone.folder / 'tokenizer_config.json'}: 'pad_token' is missing")
        self._settings = settings
        self._cached: tuple[str, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        """Size of the vocabulary; ids are below it."""
        return len(self._tokenizer)

    def token_id(self, token: str) -> int:
        found: int | None = self._tokenizer.get_vocab().get(token)
        if found is None:
            raise CheckpointError(
                f"the tokenizer has no token {token!r}; check that the backbone folder is the right one"
            )
        return found

    def __call__(self, task: str) -> tuple[Tensor, Tensor]:
        """Token ids int64 (1, tokens), and bool (1, tokens), false for padding."""
        if self._cached is None or self._cached[0] != task:
            settings = self._settings
            text = task + "\n" if settings.appends_newline and not task.endswith("\n") else task
            if settings.truncates and len(self._tokenizer(text)["input_ids"]) > settings.max_length:
                logger.warning("task is longer than %d tokens and was cut: %r", settings.max_length, task)
            encoding = self._tokenizer(
                [text],
                max_length=settings.max_length,
                truncation=settings.truncates,
                padding="max_length" if settings.pads_to_max_length else "longest",
                padding_side=settings.padding_side,
                return_tensors="pt",
            )
            self._cached = task, encoding["input_ids"], encoding["attention_mask"].bool()
        return self._cached[1:]


def _pads(padding: object, where: str) -> bool:
    if padding not in ("max_length", "longest"):
        raise CheckpointError(f"{where} is {padding!r}, expected 'max_length' or 'longest'")
    return padding == "max_length"
