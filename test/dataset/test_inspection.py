# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New images are told from repeated ones after video compression too; what the robot does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from smolvla_ros.arrays import BoolArray, ImageArray
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.image_inspection import ImageInspector
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.video import Codec, decode_video, encode_video, key_frames

from ..package_files import ROBOT
from ..training.small_dataset import write_small_dataset

RNG = np.random.default_rng(0)
SCENES = {
    "coarse": np.kron(RNG.integers(40, 215, (30, 80, 3), np.uint8), np.ones((8, 8, 1), np.uint8)),
    "fine": np.asarray(
        cv2.GaussianBlur(RNG.integers(0, 255, (240, 640, 3), np.uint8), (0, 0), 1.0), np.uint8
    ),
}


def film(
    scene: str, speed: float, moves_all: bool, repeat: tuple[int, ...]
) -> tuple[list[ImageArray], list[bool]]:
    """24 images of an object, or of a camera, that moves by `speed` pixels a frame; some are there twice."""
    images, is_new = [], []
    for k in range(24):
        shift = np.array([[1, 0, speed * k], [0, 1, 0]], np.float32)
        image = SCENES[scene][:, :320].copy()
        if moves_all:
            image = np.asarray(cv2.warpAffine(SCENES[scene], shift, (640, 240)), np.uint8)[:, 160:480]
        else:
            box = np.zeros((240, 320, 3), np.uint8)
            box[100:140, 60:100] = 255
            image = np.maximum(image, np.asarray(cv2.warpAffine(box, shift, (320, 240)), np.uint8))
        repeats = 1 + (k % 6 in repeat)
        images += [np.ascontiguousarray(image)] * repeats
        is_new += [True] + [False] * (repeats - 1)
    return images, is_new


def found(images: list[ImageArray], codec: Codec, path: Path) -> BoolArray:
    encode_video(path, images, 30, codec)
    inspector = ImageInspector()
    for image in decode_video(path, 0.0, len(images), 30):
        inspector.add(image)
    return inspector.is_new(key_frames(path, 0, len(images), 30))


@pytest.mark.parametrize("codec", ["h264", "av1"])
@pytest.mark.parametrize("moves_all", [False, True], ids=["object", "camera"])
@pytest.mark.parametrize("scene", SCENES)
def test_good_images_of_slow_motion_are_all_new(
    scene: str, moves_all: bool, codec: Codec, tmp_path: Path
) -> None:
    images, _ = film(scene, 0.5, moves_all, ())
    assert found(images, codec, tmp_path / "video.mp4").mean() > 0.95


@pytest.mark.parametrize("codec", ["h264", "av1"])
@pytest.mark.parametrize("moves_all", [False, True], ids=["object", "camera"])
@pytest.mark.parametrize("scene", SCENES)
def test_repeated_images_are_found_whichever_frame_of_the_video_they_fall_on(
    scene: str, moves_all: bool, codec: Codec, tmp_path: Path
) -> None:
    images, is_new = film(scene, 3.0, moves_all, (2, 5))
    repeats = ~np.array(is_new)
    new = found(images, codec, tmp_path / "video.mp4")
    assert new[~repeats].all()
    assert (~new[repeats]).mean() >= 0.5  # a key frame of a textured scene may hide a repetition


def test_key_frames_are_counted_from_the_first_frame(tmp_path: Path) -> None:
    images, _ = film("coarse", 1.0, False, ())
    encode_video(tmp_path / "video.mp4", images, 30, "h264")
    assert key_frames(tmp_path / "video.mp4", 0, 24, 30) == set(range(0, 24, 2))
    assert key_frames(tmp_path / "video.mp4", 5, 6, 30) == {1, 3, 5}


def test_a_dataset_with_fewer_joints_than_the_robot_is_refused(tmp_path: Path) -> None:
    folder = write_small_dataset(tmp_path / "bar", [3])
    units = ROBOT.units(None)
    with pytest.raises(DatasetError, match="6 values of observation.state .* robot has 7 joints; .*--robot"):
        list(read_episodes(folder, ROBOT, [*units, units[0]]))
