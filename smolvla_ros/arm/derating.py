# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Torque limits for hot servos; a servo that gets hotter still stops the arm until it has cooled.

At 70 degC a servo switches its torque off by itself and the arm drops; derating prevents that. No bus, no clock.
"""

from __future__ import annotations

import numpy as np

from smolvla_ros.arrays import BoolArray, FloatArray

MIN_TORQUE_SHARE = 0.5  # share of torque at the temperature that stops the arm: holds the arm's own weight
SHARE_STEP = 0.1  # quantized, so that noise does not cause constant writes to the servos


class Derating:
    """Full torque up to `derate_c`, then falling to MIN_TORQUE_SHARE at `stop_c`.

    From `stop_c` on a joint counts as `stopped`, until it is below `derate_c` again.
    """

    def __init__(self, joints: int, derate_c: float, stop_c: float) -> None:
        if not derate_c < stop_c:
            raise ValueError(
                f"servos must be derated ({derate_c} degC) before they are stopped ({stop_c} degC)"
            )
        self.stopped: BoolArray = np.zeros(joints, dtype=np.bool_)
        self._derate_c = derate_c
        self._stop_c = stop_c
        self._temperatures_c: FloatArray = np.zeros(joints)

    def shares(self, temperatures_c: FloatArray) -> FloatArray:
        """Share of its torque that each joint may use, (joints,); for a NaN temperature the last known one is used."""
        known: FloatArray = np.where(np.isnan(temperatures_c), self._temperatures_c, temperatures_c)
        self._temperatures_c = known
        self.stopped = (known >= self._stop_c) | (self.stopped & (known >= self._derate_c))
        heat = np.clip((known - self._derate_c) / (self._stop_c - self._derate_c), 0.0, 1.0)
        return 1.0 - np.ceil(heat * (1.0 - MIN_TORQUE_SHARE) / SHARE_STEP - 1e-9) * SHARE_STEP
