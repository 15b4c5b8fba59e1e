# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New images are told from repeated ones after video compression too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.dataset.inspection import find_new_images
from smolvla_ros.dataset.video import Codec, decode_video, encode_video


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_repeated_images_are_found_and_small_motion_is_new(codec: Codec, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(40, 215, (30, 40, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    images, is_new = [], []
    for k in range(20):
        image = scene.copy()
        image[100:140, 60 + 6 * k : 100 + 6 * k] = 255  # an arm, 40 of 320 pixels wide
        repeats = 1 + (k % 3 == 2)
        images += [image] * repeats
        is_new += [True] + [False] * (repeats - 1)
    encode_video(tmp_path / "video.mp4", images, 30, codec)
    found = find_new_images(decode_video(tmp_path / "video.mp4", 0.0, len(images), 30))
    if codec == "h264":
        assert found.tolist() == is_new
    assert found[np.array(is_new)].all()
