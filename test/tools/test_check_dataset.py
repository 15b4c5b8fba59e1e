# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`check_dataset` prints findings of bags and datasets, and saves a self-contained HTML page."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.tools.check_dataset import main

from ..sample_bags import ROBOT, image, joint_state

START_NS = 1_700_000_000_000_000_000
SECONDS = 4
MIDDLE_RAD = np.array([joint.middle_rad for joint in ROBOT.joints])


def record(path: Path, frozen: bool = False, task: str = "Pick up the cube") -> Path:
    """A bag of a camera at 30 Hz, and of joints and commands at 50 Hz, which are 100 ms ahead."""
    rng = np.random.default_rng(0)

    def poses(seconds: float) -> Any:
        return MIDDLE_RAD + 0.4 * np.sin(seconds * (2 + np.arange(6) / 5))

    with BagWriter(path) as bag:
        bag.write("/task", bag.message("std_msgs/msg/String", data=task), START_NS)
        for k in range(50 * SECONDS):
            stamp_ns = START_NS + k * 20_000_000
            bag.write("/joint_states", joint_state(bag, stamp_ns, poses(k / 50)), stamp_ns)
            bag.write("/joint_commands", joint_state(bag, stamp_ns, poses(k / 50 + 0.1)), stamp_ns)
        for k in range(30 * SECONDS):
            stamp_ns = START_NS + k * 33_333_333
            if not (frozen and 30 <= k < 90):
                pixels = rng.integers(0, 255, (24, 32, 3), np.uint8)
            bag.write("/top/image_raw/compressed", image(bag, stamp_ns, pixels), stamp_ns)
    return path


def test_a_good_bag_has_no_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(record(tmp_path / "bag"))]) == 0
    shown = capsys.readouterr().out
    assert "0 errors, 0 warnings" in shown
    assert "120 images at 30.0/s, 0 repeat the previous one" in shown
    assert re.search(r"state lags action +100 ms", shown)


def test_findings_are_printed_and_errors_set_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "bags" / "one")
    record(tmp_path / "bags" / "two", frozen=True, task="Move")
    assert main([str(tmp_path / "bags")]) == 1
    shown = capsys.readouterr().out
    assert "error   frozen camera: top, two" in shown and "warning task: 'Move', two" in shown
    assert "1 errors, 1 warnings" in shown


def test_the_page_contains_its_plots_and_all_findings(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    main([str(record(tmp_path / "bag", frozen=True, task="<b>Move</b>")), "--html", str(page)])
    text = page.read_text()
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == 2 and all(base64.b64decode(data).startswith(b"\x89PNG") for data in pictures)
    assert "frozen camera" in text and "&lt;b&gt;Move" in text and "<b>Move" not in text
    assert not re.search(r"(src|href)=\"?http", text)


def test_paths_without_recording_raise_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 1
    assert "is not a bag and contains none" in capsys.readouterr().err
    assert main([str(tmp_path), "--robot", "missing.yaml"]) == 2
