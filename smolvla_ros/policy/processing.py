# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Before and after the network: images fitted, words to tokens, robot units to normalised ones and back.

A checkpoint brings these steps along as two JSON pipelines with their statistics; they are followed as
written, and a step or a statistic that is unknown or absent is refused. LeRobot silently leaves values as
they are when statistics are missing, so that the arm receives standard scores for degrees; that must not
happen here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from tokenizers import Tokenizer
from torch import Tensor

from smolvla_ros.policy.checkpoint import Checkpoint, CheckpointError, Json, TensorFile, open_tensors
from smolvla_ros.policy.config import ACTION, STATE, SmolVLAConfig

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

# Mode of normalisation -> the statistics it needs. The last three map their two statistics to -1 and 1.
MODE_STATISTICS = {
    "IDENTITY": (),
    "MEAN_STD": ("mean", "std"),
    "MIN_MAX": ("min", "max"),
    "QUANTILES": ("q01", "q99"),
    "QUANTILE10": ("q10", "q90"),
}


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
    """Between robot units and the network's, float32 (..., joints), by the two statistics of its mode."""

    mode: str
    eps: float
    first: Tensor
    second: Tensor

    def normalize(self, x: Tensor) -> Tensor:
        if self.mode == "IDENTITY":
            return x
        if self.mode == "MEAN_STD":
            return (x - self.first) / (self.second + self.eps)
        return 2 * (x - self.first) / self._range() - 1

    def unnormalize(self, x: Tensor) -> Tensor:
        if self.mode == "IDENTITY":
            return x
        if self.mode == "MEAN_STD":
            return x * self.second + self.first
        return (x + 1) / 2 * self._range() + self.first

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
    """A checkpoint's policy_preprocessor.json and policy_postprocessor.json with their statistics."""

    rename: Mapping[str, str]  # full observation key -> the checkpoint's
    tokenizer: TokenizerSettings
    state: Normalizer
    action: Normalizer

    @classmethod
    def load(cls, checkpoint: Checkpoint, config: SmolVLAConfig) -> Processors:
        before = _steps(checkpoint, PREPROCESSOR, PREPROCESSOR_STEPS)
        after = _steps(checkpoint, POSTPROCESSOR, POSTPROCESSOR_STEPS)
        rename = before.by_name.get("rename_observations_processor", Json(before.where, {}))
        rename_map = rename.object("config", {}).get("rename_map", dict, {})
        return cls(
            rename={str(key): str(value) for key, value in rename_map.items()},
            tokenizer=_tokenizer_settings(before),
            state=_normalizer(checkpoint, before, "normalizer_processor", STATE, config.state_dim),
            action=_normalizer(checkpoint, after, "unnormalizer_processor", ACTION, config.action_dim),
        )


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
    pipeline = checkpoint.json(
        name,
        "LeRobot 0.4 and later write it beside model.safetensors; migrate an older checkpoint with LeRobot's "
        "migrate_policy_normalization first",
    )
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
    padding, side = config.values.get("padding", "max_length"), config.get("padding_side", str, "right")
    if padding not in ("max_length", "longest"):
        raise CheckpointError(f"{config.where}: 'padding' is {padding!r}, expected 'max_length' or 'longest'")
    if side not in ("left", "right"):
        raise CheckpointError(f"{config.where}: 'padding_side' is {side!r}, expected 'left' or 'right'")
    return TokenizerSettings(
        name=config.get("tokenizer_name", str),
        max_length=config.positive("max_length"),
        pads_to_max_length=padding == "max_length",
        padding_side=side,
        truncates=config.get("truncation", bool, True),
        appends_newline="smolvla_new_line_processor" in steps.by_name,
    )


def _normalizer(checkpoint: Checkpoint, steps: Steps, step_name: str, feature: str, width: int) -> Normalizer:
    step = steps[step_name]
    config = step.object("config", {})
    kind = config.object("features").object(feature).get("type", str)
    mode = config.object("norm_map").get(kind, str)
    if mode not in MODE_STATISTICS:
        raise CheckpointError(
            f"{config.where}: norm_map {kind!r} is {mode!r}, known are {', '.join(MODE_STATISTICS)}"
        )
    needed = MODE_STATISTICS[mode]
    found: Mapping[str, Tensor] = {}
    if needed:
        path = checkpoint.file(
            step.get("state_file", str), f"it holds the statistics that {step.where} normalises with"
        )
        with open_tensors(path) as file:
            found = _statistics(file, feature, needed, width)
    nothing = torch.zeros(0)
    first, second = (found[name] for name in needed) if needed else (nothing, nothing)
    return Normalizer(mode, config.get("eps", float, 1e-8), first, second)


def _statistics(file: TensorFile, feature: str, needed: tuple[str, ...], width: int) -> dict[str, Tensor]:
    """The named statistics of a feature, float32 (width,), each checked."""
    missing = [f"{feature}.{name}" for name in needed if f"{feature}.{name}" not in file.keys]
    if missing:
        raise CheckpointError(
            f"{file.path} has no statistics {', '.join(missing)}; without them the policy would read the arm "
            f"wrongly or command standard scores for degrees. {_available(file.keys)} Use a checkpoint that "
            f"was fine-tuned on one dataset: it has them"
        )
    found = {}
    for name in needed:
        key = f"{feature}.{name}"
        value = file.read(key).to(torch.float32).clone()
        if value.shape != (width,):
            raise CheckpointError(f"{file.path}: {key!r} has shape {tuple(value.shape)}, expected ({width},)")
        if not torch.isfinite(value).all():
            raise CheckpointError(
                f"{file.path}: {key!r} is {value.tolist()}; statistics that are not finite were never "
                f"computed. Save the checkpoint again with its dataset's statistics"
            )
        found[name] = value
    spread = needed[1]
    lowest = torch.zeros(width) if spread == "std" else found[needed[0]]
    if bool((found[spread] < lowest).any()):
        raise CheckpointError(
            f"{file.path}: '{feature}.{spread}' is {found[spread].tolist()}, partly below {lowest.tolist()}; "
            f"such statistics are damaged. Save the checkpoint again with its dataset's statistics"
        )
    return found


def _available(keys: tuple[str, ...]) -> str:
    """What a state file has instead; LeRobot's migration left some with one set of statistics per dataset."""
    datasets = sorted({key.split(".buffer.")[0] for key in keys if ".buffer." in key})
    if datasets:
        return f"It has statistics of the datasets {', '.join(datasets)}, under names that no feature has."
    features = sorted({key.rpartition(".")[0] for key in keys})
    return f"It has statistics of {', '.join(features) or 'nothing'}."
