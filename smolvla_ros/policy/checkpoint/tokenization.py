# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The task's text to token ids, with the settings of the checkpoint's preprocessor."""

from __future__ import annotations

import json
import logging
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from tokenizers import Tokenizer
from torch import Tensor

from smolvla_ros.policy.checkpoint.config import SmolVLAConfig
from smolvla_ros.policy.checkpoint.derived import derived
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

    Loaded by transformers' AutoTokenizer, as in LeRobot: tokenizer_config.json has precedence over tokenizer.json. What
    it makes of them, a tokenizer of the library tokenizers, is kept on disk (`derived.py`).
    """

    def __init__(self, backbone: Checkpoint, settings: TokenizerSettings) -> None:
        remedy = "the backbone folder must hold the vision-language model's config.json and tokenizer.json"
        for name in ("tokenizer.json", "tokenizer_config.json"):
            backbone.file(name, remedy)
        sources = [
            path.name.encode() + path.read_bytes()
            for path in sorted(backbone.folder.iterdir())
            if _is_read(path)
        ]
        kept = json.loads(derived("tokenizer", sources, partial(_load, backbone.folder)))
        if settings.pads_to_max_length and kept["pad_id"] is None:
            raise CheckpointError(f"{backbone.folder / 'tokenizer_config.json'}: 'pad_token' is missing")
        self._tokenizer = Tokenizer.from_str(kept["tokenizer"])
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._pad_id, self._truncates_left = kept["pad_id"], kept["truncation_side"] == "left"
        self._settings = settings
        self._cached: tuple[str, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        """Size of the vocabulary; ids are below it."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def of_one_length(self) -> TaskTokenizer:
        """One that pads every task to `max_length`. No token attends to padding, so chunks stay the same."""
        padding = copy(self)
        padding._settings, padding._cached = replace(self._settings, pads_to_max_length=True), None
        return padding

    def token_id(self, token: str) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
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
            ids: list[int] = self._tokenizer.encode(text).ids
            if settings.truncates and len(ids) > settings.max_length:
                logger.warning("task is longer than %d tokens and was cut: %r", settings.max_length, task)
                side = "left" if self._truncates_left else "right"
                self._tokenizer.enable_truncation(settings.max_length, direction=side)
                ids = self._tokenizer.encode(text).ids
                self._tokenizer.no_truncation()
            padding = max(settings.max_length - len(ids), 0) if settings.pads_to_max_length else 0
            before = padding if settings.padding_side == "left" else 0
            around = (before, padding - before)
            valid = F.pad(torch.ones(1, len(ids), dtype=torch.bool), around)
            padded = F.pad(torch.tensor([ids], dtype=torch.int64), around, value=self._pad_id or 0)
            self._cached = task, padded, valid
        return self._cached[1:]


def _pads(padding: object, where: str) -> bool:
    if padding not in ("max_length", "longest"):
        raise CheckpointError(f"{where} is {padding!r}, expected 'max_length' or 'longest'")
    return padding == "max_length"


def _is_read(path: Path) -> bool:
    """Whether AutoTokenizer may read a file: JSON, merges and vocabularies, not weights."""
    return path.is_file() and path.suffix in (".json", ".txt", ".model", ".jinja")


def _load(folder: Path) -> str:
    """The tokenizer in a folder as JSON."""
    from transformers import AutoTokenizer  # imported here: it takes seconds

    try:
        loaded = AutoTokenizer.from_pretrained(  # type: ignore[no-untyped-call]
            folder, local_files_only=True, trust_remote_code=False
        )
        text = loaded.backend_tokenizer.to_str()
    except Exception as error:  # depends on the files' contents
        raise CheckpointError(
            f"{folder / 'tokenizer.json'} is not a tokenizer ({error}); copy the files again"
        ) from error
    return json.dumps(
        {"tokenizer": text, "pad_id": loaded.pad_token_id, "truncation_side": loaded.truncation_side}
    )
