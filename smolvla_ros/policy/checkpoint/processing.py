# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pre- and postprocessing: images are resized, state and actions normalised and unnormalised.

Checkpoints of LeRobot 0.4 and later describe these steps in two JSON pipelines (pipeline_steps.py). For older ones the
steps of LeRobot 0.4 are applied, with the settings in config.json. Missing statistics raise CheckpointError:
LeRobot would silently leave the values unnormalised, and the arm would receive standard scores instead of degrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor

from smolvla_ros.feature_statistics import MODE_STATISTICS, FeatureStatistics
from smolvla_ros.image import fitted_size
from smolvla_ros.policy.checkpoint.config import ACTION, STATE, SmolVLAConfig
from smolvla_ros.policy.checkpoint.files import Checkpoint, CheckpointError
from smolvla_ros.policy.checkpoint.pipeline_steps import (
    NORMALIZER,
    POSTPROCESSOR,
    PREPROCESSOR,
    RENAME,
    UNNORMALIZER,
    Pipeline,
)
from smolvla_ros.policy.checkpoint.statistics import (
    IDENTITY_CHOSEN,
    IMAGE_SHAPE,
    NOT_NORMALISED,
    RequiredStatistics,
    StatisticsChoice,
    StatisticsFile,
    find_statistics,
)
from smolvla_ros.policy.checkpoint.tokenization import TokenizerSettings


def fit_image(image: Tensor, size: int, normalizer: Normalizer | None = None) -> Tensor:
    """RGB uint8 (H, W, 3) or (B, H, W, 3) to float32 (B, 3, size, size), scaled to fit; left or top are padded with -1.

    Values are in -1..1 without a `normalizer`. With one, images in 0..1 are normalised before they are scaled, as in
    LeRobot, where the preprocessor does it and the policy scales; then -1 no longer means black.
    """
    x = (image if image.ndim == 4 else image[None]).movedim(-1, 1).to(torch.float32) / 255
    if normalizer is not None:
        x = normalizer.normalize(x)
    return resize_with_pad(x, size, size) * 2 - 1


def resize_with_pad(image: Tensor, width: int, height: int) -> Tensor:
    """Scale (B, C, H, W) to fit, bilinear without antialiasing; the left and the top are padded with zeros."""
    fitted_width, fitted_height = fitted_size(image.shape[3], image.shape[2], width, height)
    x = F.interpolate(image, size=(fitted_height, fitted_width), mode="bilinear", align_corners=False)
    return F.pad(x, (width - fitted_width, 0, height - fitted_height, 0))


@dataclass(frozen=True)
class Normalizer:
    """Converts between robot units and normalised ones, float32 (..., joints), by the two statistics of its mode.

    Images are float32 (..., 3, H, W) in 0..1, and their statistics (3, 1, 1).
    adds_eps: LeRobot 0.1 to 0.3 add eps to the range, so that that of a joint that never moved is not 0; 0.4 and later
    replace a range of 0 by eps.
    """

    mode: str
    eps: float
    first: Tensor
    second: Tensor
    adds_eps: bool = False

    @classmethod
    def of(cls, statistics: FeatureStatistics, eps: float, adds_eps: bool = False) -> Normalizer:
        needed = MODE_STATISTICS[statistics.mode]
        nothing = torch.zeros(0)
        first, second = (torch.tensor(statistics.values[k]) for k in needed) if needed else (nothing, nothing)
        return cls(statistics.mode, eps, first, second, adds_eps)

    def to(self, device: torch.device) -> Normalizer:
        return replace(self, first=self.first.to(device), second=self.second.to(device))

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
class Processors:
    """Pre- and postprocessing of one checkpoint, with its statistics."""

    rename: Mapping[str, str]  # full observation key -> the checkpoint's
    tokenizer: TokenizerSettings
    state: Normalizer
    action: Normalizer
    images: Mapping[str, Normalizer]  # by full image key; those that are not normalised are left out
    state_statistics: FeatureStatistics
    action_statistics: FeatureStatistics
    state_file: StatisticsFile | None  # of the preprocessor; None for older checkpoints

    @classmethod
    def load(
        cls, checkpoint: Checkpoint, config: SmolVLAConfig, weights: Path, choice: StatisticsChoice
    ) -> Processors:
        """Read the processor files of `checkpoint`, if there are any.

        weights: the file in which older checkpoints keep their statistics. choice: the user's.
        """
        if checkpoint.has(PREPROCESSOR) or checkpoint.has(POSTPROCESSOR):
            before, after = (Pipeline.load(checkpoint, name) for name in (PREPROCESSOR, POSTPROCESSOR))
            rename = before.settings(RENAME).get("rename_map", dict, {}) if RENAME in before.steps else {}
            tokenizer = TokenizerSettings.of(before)
            modes = _modes(checkpoint, before, NORMALIZER, (STATE, *config.camera_keys))
            modes |= _modes(checkpoint, after, UNNORMALIZER, (ACTION,))
        else:
            rename = {}
            tokenizer = TokenizerSettings.of_old_checkpoint(checkpoint, config)
            modes = _older_modes(checkpoint, config)
        if choice.identity:
            modes = {feature: replace(entry, mode="IDENTITY") for feature, entry in modes.items()}
        statistics = _statistics(checkpoint, config, weights, choice, modes)
        normalizers = {
            feature: Normalizer.of(statistics[feature], entry.eps, entry.adds_eps)
            for feature, entry in modes.items()
        }
        state, action = (normalizers.pop(feature) for feature in (STATE, ACTION))
        return cls(
            rename={str(key): str(value) for key, value in rename.items()},
            tokenizer=tokenizer,
            state=state,
            action=action,
            images={key: entry for key, entry in normalizers.items() if entry.mode != "IDENTITY"},
            state_statistics=statistics[STATE],
            action_statistics=statistics[ACTION],
            state_file=modes[STATE].state_file,
        )


@dataclass(frozen=True)
class Normalization:
    """How one feature is normalised; the defaults are those of LeRobot 0.1 to 0.3."""

    mode: str
    eps: float = 1e-8
    adds_eps: bool = True
    state_file: StatisticsFile | None = None


def _modes(
    checkpoint: Checkpoint, pipeline: Pipeline, step: str, features: Sequence[str]
) -> dict[str, Normalization]:
    """How the normaliser of a pipeline treats features: by the mode of their type in norm_map.

    Types not in norm_map, and observations not in normalize_observation_keys, are not normalised.
    """
    config = pipeline.settings(step)
    norm_map, listed = config.object("norm_map"), config.object("features")
    chosen = config.get("normalize_observation_keys", list, None)
    eps = config.get("eps", float, 1e-8)
    name = pipeline.state_file(step)
    remedy = f"it holds the statistics of step {step!r} in {pipeline.where}"
    place = None if name is None else StatisticsFile.state_file(checkpoint.file(name, remedy))
    modes = {}
    for feature in features:
        if feature in (STATE, ACTION) or feature in listed.values:
            kind = listed.object(feature).get("type", str)
        else:
            kind = "VISUAL"
        mode = norm_map.get(kind, str) if feature in (STATE, ACTION) else norm_map.get(kind, str, "IDENTITY")
        mode = _known_mode(mode, f"{config.where}: norm_map {kind!r}")
        if chosen is not None and feature != ACTION and feature not in chosen:
            mode = "IDENTITY"
        if mode != "IDENTITY":
            listed.object(feature)  # raises if it is not listed: LeRobot would not normalise it
        modes[feature] = Normalization(mode, eps, False, place)
    return modes


def _older_modes(checkpoint: Checkpoint, config: SmolVLAConfig) -> dict[str, Normalization]:
    """LeRobot 0.1 to 0.3: by normalization_mapping in config.json."""
    where = f"{checkpoint.folder / 'config.json'}: normalization_mapping"
    kinds = {STATE: "STATE", ACTION: "ACTION"} | dict.fromkeys(config.camera_keys, "VISUAL")
    return {
        feature: Normalization(_known_mode(config.norm_modes[kind], where)) for feature, kind in kinds.items()
    }


def _statistics(
    checkpoint: Checkpoint,
    config: SmolVLAConfig,
    weights: Path,
    choice: StatisticsChoice,
    modes: Mapping[str, Normalization],
) -> dict[str, FeatureStatistics]:
    """The statistics of each feature in `modes`."""
    if choice.identity:
        return dict.fromkeys(modes, FeatureStatistics({}, IDENTITY_CHOSEN))
    shapes = {STATE: (config.state_dim,), ACTION: (config.action_dim,)}
    wanted = [
        RequiredStatistics(feature, shapes.get(feature, IMAGE_SHAPE), entry.mode, entry.state_file)
        for feature, entry in modes.items()
        if feature in shapes or entry.mode != "IDENTITY"
    ]
    features = [want.feature for want in wanted]
    found = find_statistics(
        checkpoint.name,
        wanted,
        StatisticsFile.buffers(weights, features),
        choice.dataset,
        StatisticsFile.stats_json(choice.stats, features) if choice.stats else None,
    )
    not_normalised = dict.fromkeys(modes, FeatureStatistics({}, NOT_NORMALISED))
    return not_normalised | dict(zip(features, found, strict=True))


def _known_mode(mode: str, where: str) -> str:
    if mode not in MODE_STATISTICS:
        raise CheckpointError(f"{where} is {mode!r}, known are {', '.join(MODE_STATISTICS)}")
    return mode
