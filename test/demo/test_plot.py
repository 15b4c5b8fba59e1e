# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plots of a demo run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.demo.observed_run import ObservedRun
from smolvla_ros.robot import RobotSpec

pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
cv2 = pytest.importorskip("cv2", reason="reading pictures back needs OpenCV")

from smolvla_ros.demo import plot  # noqa: E402

SECOND = 1_000_000_000


def test_joints_are_drawn_with_a_line_for_each_chunk(run: ObservedRun, tmp_path: Path) -> None:
    plot.save_joints(run, SECOND, tmp_path / "joints.png")
    with_chunks = cv2.imread(str(tmp_path / "joints.png"))
    run.chunks.clear()
    plot.save_joints(run, SECOND, tmp_path / "without.png")
    without = cv2.imread(str(tmp_path / "without.png"))
    columns = np.flatnonzero((with_chunks != without).any(axis=(0, 2)))
    assert with_chunks.shape == without.shape and columns.size >= 4


def test_an_empty_run_is_drawn(robot: RobotSpec, tmp_path: Path) -> None:
    plot.save_joints(ObservedRun(robot.joint_names, {}), 0, tmp_path / "joints.png")
    assert cv2.imread(str(tmp_path / "joints.png")) is not None


def test_the_overview_shows_the_camera_images(run: ObservedRun, tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 255
    plot.save_overview(run, {"top": red, "wrist": red}, SECOND, tmp_path / "demo.png")
    bgr = cv2.imread(str(tmp_path / "demo.png"))
    assert (bgr == (0, 0, 255)).all(axis=2).mean() > 0.1


def test_an_image_is_saved_unchanged(tmp_path: Path) -> None:
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    plot.save_image(image, tmp_path / "top.png")
    assert (cv2.imread(str(tmp_path / "top.png"))[..., ::-1] == image).all()
