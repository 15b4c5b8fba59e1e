# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one chunk is computed from, where several are computed together (`SmolVLA.predict_chunks`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smolvla_ros.arrays import FloatArray, ImageArray
from smolvla_ros.policy.guidance_settings import GuidanceSettings


@dataclass(frozen=True, eq=False)
class ChunkInputs:
    """All in the checkpoint's own units; the first three and the last two as in `SmolVLA.predict_chunk`.

    seed, noise_scale: of the noise that becomes the chunk.
    """

    images: Mapping[str, ImageArray]
    state: FloatArray
    task: str
    seed: int = 0
    noise_scale: float = 1.0
    prefix: FloatArray | None = None
    guidance: GuidanceSettings = GuidanceSettings()
