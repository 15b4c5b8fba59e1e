# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Before and after the network: images fitted, words to tokens, robot units to normalised ones and back.

Checkpoints of LeRobot 0.4 and later bring these steps along as two JSON pipelines; they are followed as
written, and an unknown step is refused. Older ones have none: what LeRobot 0.4 would do is done, with the
settings in config.json. The statistics come from statistics.py. LeRobot silently leaves values as they are when
statistics are missing, so that the arm receives standard scores for degrees; that must not happen here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from tokenizers import Tokenizer
from torch import Tensor

from smolvla_ros.policy.checkpoint import Checkpoint, CheckpointError, Json
from smolvla_ros.policy.config import ACTION, STATE, SmolVLAConfig
from smolvla_ros.policy.statistics import (
    MODE_STATISTICS,
    FeatureStatistics,
    Place,
    StatisticsChoice,
    Wanted,
    find_statistics,
)

logger = logging.getLogger(__name__)

PREPROCESSOR = "policy_preprocessor.json"
POSTPROCESSOR = "policy_postprocessor.json"
PREPROCESSOR_STEPS = (
    "rename_observations_processor",
    "to_batch_processor",
    "smolvla_new_line_processor",
    "tokenizer_processor",
    "device_processor",
    "normalizer_processor",
)
POSTPROCESSOR_STEPS = ("unnormalizer_processor", "device_processor")


def fit_image(image: Tensor, size: int) -> Tensor:
    """RGB uint8 (H, W, 3) to float32 (1, 3, size, size) in -1..1, scaled to fit, black on the left or top."""
    x = image.permute(2, 0, 1)[None].to(torch.float32) / 255
    return resize_with_pad(x, size, size) * 2 - 1


def resize_with_pad(image: Tensor, width: int, height: int) -> Tensor:
    """Scale (B, C, H, W) to fit, bilinear without antialiasing; zeros fill up the left and the top."""
    ratio = max(image.shape[3] / width, image.shape[2] / height)
    size = (max(int(image.shape[2] / ratio), 1), max(int(image.shape[3] / ratio), 1))
    x = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
    return F.pad(x, (width - size[1], 0, height - size[0], 0))


@dataclass(frozen=True)
class Normalizer:
    """Between robot units and the network's, float32 (..., joints), by the two statistics of its mode.

    adds_eps: how LeRobot 0.1 to 0.3 kept the range of a joint that never moved from being 0; 0.4 and later put eps
    in the place of a 0.
    """

    mode: str
    eps: float
    first: Tensor
    second: Tensor
    adds_eps: bool = False

    @classmethod
    def of(cls, mode: str, eps: float, statistics: FeatureStatistics, adds_eps: bool = False) -> Normalizer:
        needed = MODE_STATISTICS[mode]
        nothing = torch.zeros(0)
        first, second = (torch.tensor(statistics.values[k]) for k in needed) if needed else (nothing, nothing)
        return cls(mode, eps, first, second, adds_eps)

    def normalize(self, x: Tensor) -> Tensor:
        if self.mode == "IDENTITY":
            return x
        if self.mode == "MEAN_STD":
            return (x - self.first) / (self.second + self.eps)
        span = self.second - self.first + self.eps if self.adds_eps else self._range()
        return (x - self.first) / span * 2 - 1

    def unnormalize(self, x: Tensor) -> Tensor:
        if self.mode == "IDENTITY":
            return x
        if self.mode == "MEAN_STD":
            return x * self.second + self.first
        span = self.second - self.first if self.adds_eps else self._range()
        return (x + 1) / 2 * span + self.first

    def _range(self) -> Tensor:
        span = self.second - self.first
        return torch.where(span == 0, self.eps, span)  # a joint that never moved


@dataclass(frozen=True)
class TokenizerSettings:
    name: str
    max_length: int
    pads_to_max_length: bool
    padding_side: str
    truncates: bool
    appends_newline: bool


class TaskTokenizer:
    """Task to token ids, with the tokenizer of the vision-language model; the last task's tokens are kept."""

    def __init__(self, backbone: Checkpoint, settings: TokenizerSettings) -> None:
        remedy = "the backbone folder must hold the vision-language model's config.json and tokenizer.json"
        path = backbone.file("tokenizer.json", remedy)
        config = backbone.json("tokenizer_config.json", remedy)
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the Rust library raises plain Exception
            raise CheckpointError(f"{path} is not a tokenizer ({error}); copy the file again") from error
        self._settings = settings
        self._cached: tuple[str, Tensor, Tensor] | None = None
        pad = config.values.get("pad_token", "")
        pad = pad.get("content", "") if isinstance(pad, dict) else pad
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        if settings.truncates:
            self._tokenizer.enable_truncation(
                settings.max_length, direction=config.get("truncation_side", str, "right")
            )
        if settings.pads_to_max_length:
            self._tokenizer.enable_padding(
                direction=settings.padding_side,
                pad_id=self.token_id(pad),
                pad_token=pad,
                length=settings.max_length,
            )

    def token_id(self, token: str) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise CheckpointError(
                f"the tokenizer has no token {token!r}; check that the backbone folder is the right one"
            )
        return found

    def __call__(self, task: str) -> tuple[Tensor, Tensor]:
        """Token ids int64 (1, tokens) and which of them are not padding, bool (1, tokens)."""
        if self._cached is None or self._cached[0] != task:
            text = task + "\n" if self._settings.appends_newline and not task.endswith("\n") else task
            encoding = self._tokenizer.encode(text)
            if encoding.overflowing:
                logger.warning(
                    "task is longer than %d tokens and was cut: %r", self._settings.max_length, task
                )
            ids = torch.tensor([encoding.ids], dtype=torch.int64)
            self._cached = task, ids, torch.tensor([encoding.attention_mask], dtype=torch.bool)
        return self._cached[1:]


@dataclass(frozen=True)
class Processors:
    """What happens before and after the network of one checkpoint, with the statistics that it needs."""

    rename: Mapping[str, str]  # full observation key -> the checkpoint's
    tokenizer: TokenizerSettings
    state: Normalizer
    action: Normalizer
    state_statistics: FeatureStatistics
    action_statistics: FeatureStatistics
    state_file: Place | None  # all that the preprocessor's has; older checkpoints have none

    @classmethod
    def load(
        cls, checkpoint: Checkpoint, config: SmolVLAConfig, weights: Path, choice: StatisticsChoice
    ) -> Processors:
        """Read the processor files of `checkpoint`, or do without where there are none.

        weights: the file among whose weights older checkpoints keep their statistics. choice: the user's.
        """
        if checkpoint.has(PREPROCESSOR) or checkpoint.has(POSTPROCESSOR):
            before = _steps(checkpoint, PREPROCESSOR, PREPROCESSOR_STEPS)
            after = _steps(checkpoint, POSTPROCESSOR, POSTPROCESSOR_STEPS)
            rename = before.by_name.get("rename_observations_processor", Json(before.where, {}))
            rename_map = rename.object("config", {}).get("rename_map", dict, {})
            tokenizer = _tokenizer_settings(before)
            state = _normalization(checkpoint, before["normalizer_processor"], STATE)
            action = _normalization(checkpoint, after["unnormalizer_processor"], ACTION)
        else:
            rename_map = {}
            tokenizer = _older_tokenizer_settings(checkpoint, config)
            where = f"{checkpoint.folder / 'config.json'}: normalization_mapping"
            state, action = (
                Normalization(_known_mode(config.norm_modes[name], where)) for name in (STATE, ACTION)
            )
        if choice.identity:
            logger.warning(
                "%s: state and action are not normalised, because normalization='identity' was given; the arm "
                "moves wrongly unless the policy was trained so",
                checkpoint.name,
            )
            state, action = (replace(entry, mode="IDENTITY") for entry in (state, action))
            state_statistics = action_statistics = FeatureStatistics({}, "none: normalization='identity'")
        else:
            state_statistics, action_statistics = find_statistics(
                checkpoint.name,
                [
                    Wanted(STATE, config.state_dim, state.mode, state.state_file),
                    Wanted(ACTION, config.action_dim, action.mode, action.state_file),
                ],
                Place.buffers(weights),
                choice.dataset,
                Place.stats_json(choice.stats) if choice.stats else None,
            )
        return cls(
            rename={str(key): str(value) for key, value in rename_map.items()},
            tokenizer=tokenizer,
            state=Normalizer.of(state.mode, state.eps, state_statistics, state.adds_eps),
            action=Normalizer.of(action.mode, action.eps, action_statistics, action.adds_eps),
            state_statistics=state_statistics,
            action_statistics=action_statistics,
            state_file=state.state_file,
        )


@dataclass(frozen=True)
class Normalization:
    """How one feature is normalised, before its statistics are found; the defaults are LeRobot 0.1 to 0.3's."""

    mode: str
    eps: float = 1e-8
    adds_eps: bool = True
    state_file: Place | None = None


@dataclass(frozen=True)
class Steps:
    where: str
    by_name: Mapping[str, Json]

    def __getitem__(self, name: str) -> Json:
        if name not in self.by_name:
            raise CheckpointError(
                f"{self.where} has no step {name!r}; it has {', '.join(self.by_name) or 'none'}"
            )
        return self.by_name[name]


def _steps(checkpoint: Checkpoint, name: str, known: tuple[str, ...]) -> Steps:
    pipeline = checkpoint.json(name, "copy the whole folder that LeRobot saved ('pretrained_model')")
    steps: dict[str, Json] = {}
    for step in pipeline.objects("steps"):
        step_name = str(step.values.get("registry_name", step.values.get("class")))
        if step_name not in known:
            raise CheckpointError(
                f"{step.where}: step {step_name!r} is unknown, and leaving it out could change every action; "
                f"known steps are {', '.join(known)}"
            )
        if step_name in steps and step_name != "device_processor":
            raise CheckpointError(f"{step.where}: a second {step_name!r}; one is supported")
        steps[step_name] = step
    return Steps(pipeline.where, steps)


def _tokenizer_settings(steps: Steps) -> TokenizerSettings:
    config = steps["tokenizer_processor"].object("config", {})
    side = config.get("padding_side", str, "right")
    if side not in ("left", "right"):
        raise CheckpointError(f"{config.where}: 'padding_side' is {side!r}, expected 'left' or 'right'")
    return TokenizerSettings(
        name=config.get("tokenizer_name", str),
        max_length=config.positive("max_length"),
        pads_to_max_length=_pads(config.values.get("padding", "max_length"), f"{config.where}: 'padding'"),
        padding_side=side,
        truncates=config.get("truncation", bool, True),
        appends_newline="smolvla_new_line_processor" in steps.by_name,
    )


def _older_tokenizer_settings(checkpoint: Checkpoint, config: SmolVLAConfig) -> TokenizerSettings:
    """LeRobot 0.1 to 0.3 did the same in code, except that they did not cut long tasks."""
    where = f"{checkpoint.folder / 'config.json'}: 'pad_language_to'"
    return TokenizerSettings(
        name=config.vlm_model_name,
        max_length=config.tokenizer_max_length,
        pads_to_max_length=_pads(config.pad_language_to, where),
        padding_side="right",
        truncates=True,
        appends_newline=True,
    )


def _pads(padding: object, where: str) -> bool:
    if padding not in ("max_length", "longest"):
        raise CheckpointError(f"{where} is {padding!r}, expected 'max_length' or 'longest'")
    return padding == "max_length"


def _normalization(checkpoint: Checkpoint, step: Json, feature: str) -> Normalization:
    config = step.object("config", {})
    kind = config.object("features").object(feature).get("type", str)
    mode = _known_mode(config.object("norm_map").get(kind, str), f"{config.where}: norm_map {kind!r}")
    name = step.get("state_file", str, None)
    path = (
        checkpoint.file(name, f"it holds the statistics that {step.where} normalises with")
        if name is not None
        else None
    )
    return Normalization(
        mode, config.get("eps", float, 1e-8), False, Place.state_file(path) if path else None
    )


def _known_mode(mode: str, where: str) -> str:
    if mode not in MODE_STATISTICS:
        raise CheckpointError(f"{where} is {mode!r}, known are {', '.join(MODE_STATISTICS)}")
    return mode
