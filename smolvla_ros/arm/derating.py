# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hot servos get less torque, and a servo that grows too hot all the same stops the arm until it has cooled.

A servo protects itself by letting go, at 70 degC, and the arm drops. This comes before that. No bus, no time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MIN_TORQUE_SHARE = 0.5  # of its torque, at the temperature that stops the arm: enough to hold its own weight
STEP = 0.1  # shares come in steps, or noise would have the servos written all the time


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
        """Share of its torque that each joint may use; where the temperature is NaN, the last one counts."""
        known: FloatArray = np.where(np.isnan(temperatures_c), self._temperatures_c, temperatures_c)
        self._temperatures_c = known
        self.stopped = (known >= self._stop_c) | (self.stopped & (known >= self._derate_c))
        heat = np.clip((known - self._derate_c) / (self._stop_c - self._derate_c), 0.0, 1.0)
        return 1.0 - np.ceil(heat * (1.0 - MIN_TORQUE_SHARE) / STEP - 1e-9) * STEP
