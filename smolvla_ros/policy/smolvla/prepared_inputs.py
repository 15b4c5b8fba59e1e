# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The inputs of the network: tensors, checked and normalised, of one chunk or of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor

from smolvla_ros.arrays import ImageArray
from smolvla_ros.policy.policy import PolicyError


@dataclass(frozen=True)
class PreparedInputs:
    """Inputs of the network; B chunks."""

    images: list[Tensor]  # each float32 (B, 3, side, side), in -1..1 unless the checkpoint normalises images
    image_valid: list[bool]
    tokens: Tensor  # int64 (B, tokens)
    tokens_valid: Tensor  # bool (B, tokens)
    state: Tensor  # float32 (B, max_state_dim), normalised, padded with 0

    @classmethod
    def joined(cls, each: Sequence[PreparedInputs]) -> PreparedInputs:
        """Those of chunks with the same cameras; shorter tasks are padded."""
        if len(each) == 1:
            return each[0]
        longest = max(one.tokens.shape[1] for one in each)

        def padded(tokens: Tensor) -> Tensor:
            return F.pad(tokens, (0, longest - tokens.shape[1]))

        return cls(
            images=[torch.cat(images) for images in zip(*(one.images for one in each), strict=True)],
            image_valid=each[0].image_valid,
            tokens=torch.cat([padded(one.tokens) for one in each]),
            tokens_valid=torch.cat([padded(one.tokens_valid) for one in each]),
            state=torch.cat([one.state for one in each]),
        )


def image_tensor(key: str, image: ImageArray) -> Tensor:
    """RGB uint8 (height, width, 3) as a tensor of its own; raises PolicyError for anything else."""
    array = np.ascontiguousarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise PolicyError(
            f"image {key!r} has shape {array.shape} and type {array.dtype}, expected RGB uint8 (height, width, 3)"
        )
    return torch.tensor(array)
