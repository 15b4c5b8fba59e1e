# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures that a demo leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.demo.recording import Recording
from smolvla_ros.robot import RobotSpec

pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
cv2 = pytest.importorskip("cv2", reason="reading pictures back needs OpenCV")

from smolvla_ros.demo import plot  # noqa: E402

SECOND = 1_000_000_000


def test_joints_are_drawn_with_a_line_for_each_chunk(recording: Recording, tmp_path: Path) -> None:
    plot.save_joints(recording, SECOND, tmp_path / "joints.png")
    with_chunks = cv2.imread(str(tmp_path / "joints.png"))
    recording.chunks.clear()
    plot.save_joints(recording, SECOND, tmp_path / "without.png")
    without = cv2.imread(str(tmp_path / "without.png"))
    columns = np.flatnonzero((with_chunks != without).any(axis=(0, 2)))
    assert with_chunks.shape == without.shape and columns.size >= 4


def test_a_run_without_motion_is_drawn_too(robot: RobotSpec, tmp_path: Path) -> None:
    plot.save_joints(Recording(robot.joint_names, {}), 0, tmp_path / "joints.png")
    assert cv2.imread(str(tmp_path / "joints.png")) is not None


def test_the_overview_shows_what_the_cameras_saw(recording: Recording, tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 255
    plot.save_overview(recording, {"top": red, "wrist": red}, SECOND, tmp_path / "demo.png")
    bgr = cv2.imread(str(tmp_path / "demo.png"))
    assert (bgr == (0, 0, 255)).all(axis=2).mean() > 0.1


def test_an_image_is_saved_as_it_is(tmp_path: Path) -> None:
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    plot.save_image(image, tmp_path / "top.png")
    assert (cv2.imread(str(tmp_path / "top.png"))[..., ::-1] == image).all()
