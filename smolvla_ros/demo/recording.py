# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo saw: stamps and positions as they came in, and the figures that follow from them.

Messages are read by field name (wire.py) and all times come from their header stamps, so this is tested
without ROS and says what the nodes did, not how late the observer heard of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smolvla_ros.dataset.stream_timing import intervals_s, mean_rate_hz
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.wire import WireError, header_stamp_ns, joints_from_msg, nanoseconds

FloatArray = npt.NDArray[np.float64]
RECENT_NS = 2 * NANOSECONDS
SILENCE_NS = NANOSECONDS // 2  # a camera silent for so long at the end has missed what was due in that time


@dataclass(frozen=True)
class ImageCount:
    """Images of one camera between its first and last stamp."""

    expected: int
    received: int

    @property
    def dropped(self) -> int:
        """Not taken, or lost on the way: from here both look the same."""
        return max(0, self.expected - self.received)


@dataclass(frozen=True)
class ChunkRecord:
    """One ActionChunk as it came in."""

    chunk_id: int
    published_ns: int
    steps: int
    inference_s: float
    policy: str


class Trace:
    """Joint positions over time."""

    def __init__(self) -> None:
        self.stamps_ns: list[int] = []
        self._positions_rad: list[FloatArray] = []

    def add(self, stamp_ns: int, positions_rad: FloatArray) -> None:
        self.stamps_ns.append(stamp_ns)
        self._positions_rad.append(positions_rad)

    @property
    def last_rad(self) -> FloatArray | None:
        return self._positions_rad[-1] if self._positions_rad else None

    @property
    def positions_rad(self) -> FloatArray:
        """Shape (samples, joints)."""
        return np.array(self._positions_rad) if self._positions_rad else np.zeros((0, 0))


class Recording:
    """Everything heard since it was made. `cameras`: name -> expected frames per second."""

    def __init__(self, joint_names: tuple[str, ...], cameras: Mapping[str, float]) -> None:
        self.joint_names = joint_names
        self.cameras = dict(cameras)
        self.measured = Trace()
        self.commanded = Trace()
        self.chunks: list[ChunkRecord] = []
        self.image_stamps_ns: dict[str, list[int]] = {name: [] for name in cameras}
        self.first_state: Any = None
        self.state: Any = None  # the newest ExecutorState

    def add_joint_state(self, message: Any) -> None:
        """A message without all joints, as the arm node sends it while a servo is silent, is left out."""
        with suppress(WireError):
            joints = joints_from_msg(message, self.joint_names)
            self.measured.add(joints.stamp_ns, joints.positions_rad)

    def add_command(self, message: Any) -> None:
        joints = joints_from_msg(message, self.joint_names)
        self.commanded.add(joints.stamp_ns, joints.positions_rad)

    def add_chunk(self, message: Any) -> None:
        self.chunks.append(
            ChunkRecord(
                chunk_id=int(message.chunk_id),
                published_ns=header_stamp_ns(message),
                steps=len(message.positions) // max(1, len(message.joint_names)),
                inference_s=nanoseconds(message.inference_duration) / NANOSECONDS,
                policy=str(message.policy),
            )
        )

    def add_image(self, camera: str, stamp_ns: int) -> None:
        self.image_stamps_ns[camera].append(stamp_ns)

    def add_state(self, message: Any) -> None:
        self.state = message
        if self.first_state is None:
            self.first_state = message

    def images(self, camera: str, end_ns: int) -> ImageCount:
        return count_images(self.image_stamps_ns[camera], self.cameras[camera], end_ns)


def rate_hz(stamps_ns: Sequence[int]) -> float:
    """Mean rate of stamps in ascending order; NaN for fewer than two."""
    return mean_rate_hz(intervals_s(stamps_ns)) or float("nan")


def recent_rate_hz(stamps_ns: Sequence[int], now_ns: int) -> float:
    """Rate over the last two seconds; 0 when nothing came in them."""
    count = 0
    for stamp_ns in reversed(stamps_ns):
        if stamp_ns < now_ns - RECENT_NS:
            break
        count += 1
    # The span is to the newest stamp: what is still on its way is not missing.
    return 0.0 if count < 2 else rate_hz(stamps_ns[-count:])


def period_errors_s(stamps_ns: Sequence[int]) -> FloatArray:
    """How far each period is from the median one, absolute, shape (stamps - 1,)."""
    periods_s = intervals_s(stamps_ns)
    return np.asarray(np.abs(periods_s - np.median(periods_s))) if len(periods_s) else periods_s


def count_images(stamps_ns: Sequence[int], nominal_hz: float, end_ns: int) -> ImageCount:
    """Images received and those that `nominal_hz` makes due between the first and the last of them."""
    stamps = sorted(set(stamps_ns))
    if not stamps:
        return ImageCount(0, 0)
    last_ns = end_ns if end_ns - stamps[-1] > SILENCE_NS else stamps[-1]
    return ImageCount(1 + round((last_ns - stamps[0]) * nominal_hz / NANOSECONDS), len(stamps))


def percentile(values: Sequence[float] | FloatArray, percent: float) -> float:
    """NaN where there are no values."""
    return float(np.percentile(values, percent)) if len(values) else float("nan")
