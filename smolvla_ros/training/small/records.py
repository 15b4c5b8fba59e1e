# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records for the small network: pictures and joints of one moment, and the expert's chunks for two instructions.

Two instructions for the same pictures make the network read them. Arrays have the records along the first axis.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from smolvla_ros.arrays import Float32Array, ImageArray

INSTRUCTIONS = 2  # for each record
LABELS, LABEL_RATE_HZ = 18, 10.0  # actions for each instruction, the first at the moment of the record


@dataclass(frozen=True, eq=False)
class Records:
    """Records of any number, n."""

    images: ImageArray  # (n, cameras, height, width, 3) RGB, scaled to fit the network's input
    states: Float32Array  # (n, joints), in LeRobot's units
    tokens: npt.NDArray[np.int16]  # (n, INSTRUCTIONS, tokens)
    actions: Float32Array  # (n, INSTRUCTIONS, LABELS, joints), in LeRobot's units
    objects: Float32Array  # (n, cameras, CLASSES, instances, 2): see Detector.loss
    places: Float32Array  # (n, INSTRUCTIONS, PLACES, 3): see ReadOuts.place_loss

    def __len__(self) -> int:
        return len(self.states)

    def save(self, path: Path) -> None:
        """Write a file; it is complete or not there."""
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})
        unfinished.rename(path)

    @classmethod
    def load(cls, path: Path) -> Records:
        with np.load(path) as file:
            return cls(**{field.name: file[field.name] for field in fields(cls)})
