# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An observation: a frame from every camera, the joints, and the task.

Used for live topics and recorded bags alike. Streams are synchronized before an Observation is made; it only checks
that the stamps of its parts are close.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import ImageArray
from smolvla_ros.robot import Joints, RobotSpec

NANOSECONDS = 1_000_000_000
MAX_AHEAD_S = 0.05  # how far stamps may be in the future: clocks of two machines differ


class ObservationError(ValueError):
    """The parts of an observation are not synchronous or too old; the message has names, times and the remedy."""


class ObservedTooEarlyError(ObservationError):
    """The newest observation is from before the arm was armed; wait for the next one."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera image: RGB uint8 of shape (height, width, 3), stamped when it was acquired."""

    camera: str
    stamp_ns: int
    image: ImageArray
    encoded: bytes | None = None  # the JPEG, PNG or WebP that it was decoded from, if it came as one


@dataclass(frozen=True, eq=False)
class Observation:
    """Frames by camera name, joints and task.

    `stamp_ns`: when the newest frame was acquired; without frames, the joints.
    """

    frames: Mapping[str, Frame]
    joints: Joints
    task: str

    @property
    def stamp_ns(self) -> int:
        return max((frame.stamp_ns for frame in self.frames.values()), default=self.joints.stamp_ns)

    def check_times(
        self, now_ns: int, max_age_s: float, max_skew_s: float, max_ahead_s: float = MAX_AHEAD_S
    ) -> None:
        """Raise ObservationError if a part is too old, too far in the future, or too far from the others.

        `max_ahead_s` allows for the clocks of two machines.
        """
        stamps = {f"camera '{name}'": frame.stamp_ns for name, frame in self.frames.items()}
        stamps["joint states"] = self.joints.stamp_ns
        for what, stamp_ns in stamps.items():
            age_s = (now_ns - stamp_ns) / NANOSECONDS
            if age_s > max_age_s:
                raise ObservationError(
                    f"{what}: {age_s:.2f} s old, more than max_observation_age_s={max_age_s}; "
                    "is its node still running, and do the clocks agree?"
                )
            if age_s < -max_ahead_s:
                raise ObservationError(_ahead(what, -age_s))
        skew_s = (max(stamps.values()) - min(stamps.values())) / NANOSECONDS
        if skew_s > max_skew_s:
            oldest = min(stamps, key=stamps.__getitem__)
            newest = max(stamps, key=stamps.__getitem__)
            raise ObservationError(
                f"{oldest} is {skew_s:.3f} s older than {newest}, more than {max_skew_s} s apart"
            )


def synchronization_problem(
    newest_ns: Mapping[str, int | None], now_ns: int, max_age_s: float, max_skew_s: float
) -> str:
    """Why streams cannot be synchronized, from the stamp of the newest message of each (None: no message yet)."""
    silent = [name for name, stamp_ns in newest_ns.items() if stamp_ns is None]
    if silent:
        return f"nothing has arrived from {', '.join(silent)}; does its node run, and is the name right?"
    stamps = {name: stamp_ns for name, stamp_ns in newest_ns.items() if stamp_ns is not None}
    oldest, newest = min(stamps, key=stamps.__getitem__), max(stamps, key=stamps.__getitem__)
    ahead_s = (stamps[newest] - now_ns) / NANOSECONDS
    if ahead_s > MAX_AHEAD_S:
        return _ahead(newest, ahead_s)
    age_s = (now_ns - stamps[oldest]) / NANOSECONDS
    if age_s > max_age_s:
        return (
            f"{oldest}: {age_s:.2f} s old, more than max_observation_age_s={max_age_s}; "
            "is its node still running, and do the clocks agree?"
        )
    skew_s = (stamps[newest] - stamps[oldest]) / NANOSECONDS
    return f"{oldest} is stamped {skew_s:.3f} s before {newest}; at most {max_skew_s} s are allowed"


def _ahead(what: str, ahead_s: float) -> str:
    return (
        f"{what}: stamped {ahead_s:.2f} s in the future; do the clocks agree, and has every node the same "
        "use_sim_time?"
    )


def example_observation(
    robot: RobotSpec, stamp_ns: int = 0, task: str = "pick up the red cube"
) -> Observation:
    """A valid observation of `robot` at the middle of its joints, with a different gradient for each camera."""
    frames = {}
    for index, camera in enumerate(robot.cameras):
        ramp = np.linspace(0, 255, camera.width, dtype=np.uint8)
        image = np.zeros((camera.height, camera.width, 3), np.uint8)
        image[:, :, index % 3] = ramp
        frames[camera.name] = Frame(camera.name, stamp_ns, image)
    middle = np.array([joint.middle_rad for joint in robot.joints])
    return Observation(frames, Joints(stamp_ns, middle, np.zeros_like(middle)), task)
