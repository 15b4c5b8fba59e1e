# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The inputs of the network: tensors, checked and normalised, of one chunk or of several.

`ImagesAhead` keeps image tokens that were computed before their chunk was asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor

from smolvla_ros.arrays import ImageArray
from smolvla_ros.policy.policy import PolicyError

T = TypeVar("T")


@dataclass(frozen=True)
class PreparedInputs:
    """Inputs of the network; B chunks."""

    images: list[Tensor]  # each float32 (B, 3, side, side), in -1..1 unless the checkpoint normalises images
    image_valid: list[bool]
    tokens: Tensor  # int64 (B, tokens)
    tokens_valid: Tensor  # bool (B, tokens)
    state: Tensor  # float32 (B, max_state_dim), normalised, padded with 0
    encoded: Sequence[Tensor] | None = None  # the tokens of `images`, if they have been computed before

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


class ImagesAhead:
    """The prepared images and image tokens of one observation, kept for one chunk.

    Images are known by the identity of their arrays, which must not change meanwhile.
    """

    def __init__(self) -> None:
        self._kept: tuple[dict[str, ImageArray], list[Tensor], Sequence[Tensor]] | None = None

    def keep(
        self, images: Mapping[str, ImageArray], prepared: list[Tensor], encoded: Sequence[Tensor]
    ) -> None:
        self._kept = dict(images), prepared, encoded

    def take(self, images: Mapping[str, ImageArray]) -> tuple[list[Tensor], Sequence[Tensor] | None]:
        """The prepared images and their tokens if these very images are kept, else ([], None); none is kept then."""
        kept, self._kept = self._kept, None
        if kept is None or kept[0].keys() != images.keys():
            return [], None
        same = all(image is kept[0][key] for key, image in images.items())
        return (kept[1], kept[2]) if same else ([], None)

    def clear(self) -> None:
        self._kept = None


def by_key(
    given: Mapping[str, T], keys: Sequence[str], renamed: Mapping[str, str], policy: str
) -> dict[str, T]:
    """Values by the checkpoint's own names, `keys`; raises PolicyError for unknown names.

    If all names are in `keys` they are the checkpoint's own, also where `renamed` has one of them as the name that
    another view had in the data.
    """
    found: dict[str, T] = {}
    are_own = given.keys() <= set(keys)
    for name, value in given.items():
        key = name if are_own else renamed.get(name, name)
        if key not in keys:
            near = difflib.get_close_matches(name, keys, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise PolicyError(
                f"image {name!r} is unknown to {policy}: it expects {', '.join(keys)}, "
                f"given were {', '.join(given)}{hint}. Give each camera the checkpoint's name of its view"
            )
        if key in found:
            raise PolicyError(f"image {key!r} is given twice, once under a name that {policy} renames")
        found[key] = value
    return found
