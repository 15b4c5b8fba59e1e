# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a camera moves with the arm: how much of its image changes between two moments, against the joints' motion.

Between moments with different poses of the arm, most of a wrist camera's image changes; of one that stands still, what
the arm covers. Where the image changes as much without motion of the arm (automatic exposure, a camera held by hand),
nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from smolvla_ros.arrays import FloatArray, ImageArray
from smolvla_ros.curation.dataset_images import images_at, spread_over_episode
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset

EPISODES = 3  # looked at, at equal distances
MOMENTS = 24  # of each
SIZE = (32, 24)  # width and height to which images are reduced
MIN_CONTRAST = 10.0  # grey levels, standard deviation; with less nothing is said
CHANGED = 6.0  # grey levels, from which a pixel has changed; below is noise
MIN_MOTION = 20.0  # of a joint, in LeRobot's units (degrees, or -100 .. 100); with less nothing is said
FAR = 0.25  # share of the pairs of moments that count as different poses
ON_ARM, STANDS = 0.35, 0.28  # share of pixels above which a camera is on the arm, below which it stands still
MIN_CORRELATION = 0.2  # of changed pixels and the motion of the joints, for a camera on the arm


@dataclass(frozen=True)
class CameraMotion:
    """What was measured, as medians over episodes; 0 where nothing moves."""

    changed: float  # share of pixels (0 .. 1) that differ between different poses
    correlation: float  # of this share with the joints' motion, over all pairs of moments

    @property
    def is_on_arm(self) -> bool | None:
        """Whether the camera moves with the arm; None if that is not clear."""
        if self.changed > ON_ARM:
            return True if self.correlation > MIN_CORRELATION else None
        return False if 0.0 < self.changed < STANDS else None


def camera_motion(dataset: LeRobotDataset, camera: str) -> CameraMotion:
    """Compare images of some episodes; raises DatasetError, VideoError."""
    count = len(dataset.episodes)
    chosen = sorted({int((number + 0.5) * count / EPISODES) for number in range(EPISODES)})
    measured = [_episode_motion(dataset, episode, camera) for episode in chosen]
    changed, correlation = np.median(measured, axis=0) if measured else (0.0, 0.0)
    return CameraMotion(float(changed), float(correlation))


def _episode_motion(dataset: LeRobotDataset, episode: int, camera: str) -> tuple[float, float]:
    """Share of changed pixels and correlation, as of CameraMotion."""
    places = spread_over_episode(dataset, episode, MOMENTS)
    state = dataset.frames(episode).state[[frame for _, frame in places], :-1]  # the gripper moves no camera
    images = np.array([_small_grey(image) for image in images_at(dataset, camera, places)])
    one, other = np.triu_indices(len(places), 1)
    motion = np.abs(state[one] - state[other]).max(axis=1, initial=0.0)
    changed = (np.abs(images[one] - images[other]) > CHANGED).mean(axis=1)
    if len(motion) < 3 or motion.max() < MIN_MOTION or images.std() < MIN_CONTRAST:
        return 0.0, 0.0
    correlation = np.corrcoef(motion, changed)[0, 1] if motion.std() and changed.std() else 0.0
    return float(np.median(changed[motion >= np.quantile(motion, 1 - FAR)])), float(correlation)


def _small_grey(image: ImageArray) -> FloatArray:
    """An RGB image in grey levels, as one row of pixels."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, SIZE, interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
