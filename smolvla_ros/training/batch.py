# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Samples in robot units to the inputs of the network, as at inference, and the actions that it shall predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor

from smolvla_ros.policy.checkpoint.config import IMAGES, OBSERVATION
from smolvla_ros.policy.checkpoint.processing import Normalizer, fit_image
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.policy.smolvla.network import Context, Network


@dataclass(frozen=True)
class Draw:
    """One sample to read: a frame, and the number of the draw in the run, which seeds its augmentation."""

    frame: int
    number: int


@dataclass(frozen=True)
class Samples:
    """A batch in robot units."""

    images: Mapping[str, Tensor]  # uint8 (B, H, W, 3) RGB, by the checkpoint's short name of the camera
    state: Tensor  # float32 (B, state_dim)
    action: Tensor  # float32 (B, T, action_dim)
    action_is_pad: Tensor | None  # bool (B, T); true after the end of the episode
    tasks: Sequence[str]  # B texts
    draws: Sequence[Draw] = ()  # B, for those with a cache
    action_weights: Tensor | None = None  # float32 (B, T), of the loss; None: 1


@dataclass(frozen=True)
class Batch:
    """The inputs of `Network.encode_prefix` and the actions, on one device."""

    images: list[Tensor]  # each float32 (B, 3, side, side)
    image_valid: list[bool]
    tokens: Tensor  # int64 (B, tokens)
    tokens_valid: Tensor  # bool (B, tokens)
    state: Tensor  # float32 (B, max_state_dim), normalised, padded with 0
    actions: Tensor  # float32 (B, T, max_action_dim), normalised, padded with 0
    action_is_pad: Tensor | None  # bool (B, T)
    action_weights: Tensor | None = None  # float32 (B, T)

    def context(self, network: Network) -> Context:
        """The prefix, encoded."""
        return network.encode_prefix(
            self.images, self.image_valid, self.tokens, self.tokens_valid, self.state, keeps_padding=True
        )


class BatchPreparation:
    """Prepares samples for the network of a checkpoint."""

    def __init__(self, spec: CheckpointSpec, device: torch.device) -> None:
        self._spec, self._device = spec, device
        self._state, self._action = (
            normalizer.to(device) for normalizer in (spec.processors.state, spec.processors.action)
        )
        self._images: dict[str, Normalizer] = {
            key.removeprefix(IMAGES).removeprefix(OBSERVATION): normalizer.to(device)
            for key, normalizer in spec.processors.images.items()
        }
        self._tokens: dict[str, Tensor] = {}

    def __call__(self, samples: Samples, needs_images: bool = True) -> Batch:
        """Raises PolicyError if the samples do not fit the checkpoint. Keys and values from a cache need no images."""
        config, device = self._spec.config, self._device
        self._check(samples, needs_images)
        present = [name for name in config.cameras if name in samples.images]
        images = [
            fit_image(samples.images[name].to(device), config.image_size, self._images.get(name))
            for name in present
        ]
        empty = min(config.empty_cameras, len(config.image_keys) - len(present))
        tokens, valid = self.tokens(samples.tasks)
        state = self._state.normalize(samples.state.to(device))
        actions = self._action.normalize(samples.action.to(device))
        is_pad, weights = samples.action_is_pad, samples.action_weights
        return Batch(
            images=images + [torch.full_like(image, -1.0) for image in images[-1:] * empty],
            image_valid=[True] * len(images) + [False] * (empty if images else 0),
            tokens=tokens,
            tokens_valid=valid,
            state=F.pad(state, (0, config.max_state_dim - state.shape[-1])),
            actions=F.pad(actions, (0, config.max_action_dim - actions.shape[-1])),
            action_is_pad=None if is_pad is None else is_pad.to(device),
            action_weights=None if weights is None else weights.to(device),
        )

    def tokens(self, tasks: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids int64 (B, tokens) and which are valid, padded to the longest: padding has no effect on others."""
        for task in tasks:
            if task not in self._tokens:
                ids, valid = self._spec.tokenizer(task)
                self._tokens[task] = ids[valid]
        rows = [self._tokens[task] for task in tasks]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows])
        valid = torch.arange(tokens.shape[1])[None] < lengths[:, None]
        return tokens.to(self._device), valid.to(self._device)

    def _check(self, samples: Samples, needs_images: bool) -> None:
        config, name = self._spec.config, self._spec.name
        strange = sorted(set(samples.images) - set(config.cameras))
        if strange or (needs_images and not samples.images):
            raise PolicyError(
                f"{name} has cameras {', '.join(config.cameras)}, given are {', '.join(samples.images) or 'none'}"
            )
        count = len(samples.tasks)
        wanted = {
            "state": (samples.state, (count, config.state_dim)),
            "action": (samples.action, (count, config.chunk_size, config.action_dim)),
        }
        for what, (tensor, shape) in wanted.items():
            if tuple(tensor.shape) != shape:
                raise PolicyError(f"{what} has shape {tuple(tensor.shape)}, {name} expects {shape}")
