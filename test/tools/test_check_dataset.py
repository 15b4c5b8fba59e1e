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
from smolvla_ros.image import encode_jpeg
from smolvla_ros.robot import RobotSpec
from smolvla_ros.tools.check_dataset import main

ROOT = Path(__file__).parents[2]
ROBOT = RobotSpec.load(ROOT / "config" / "so100.yaml")
START_NS = 1_700_000_000_000_000_000
SECONDS = 4


def record(path: Path, frozen: bool = False, task: str = "Pick up the cube") -> Path:
    """A bag of a camera at 30 Hz, and of joints and commands at 50, which are 100 ms ahead."""
    middle = np.array([joint.middle_rad for joint in ROBOT.joints])
    rng = np.random.default_rng(0)
    with BagWriter(path) as bag:

        def header(stamp_ns: int) -> Any:
            sec, nanosec = divmod(stamp_ns, 10**9)
            stamp = bag.message("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
            return bag.message("std_msgs/msg/Header", stamp=stamp, frame_id="")

        def joints(stamp_ns: int, seconds: float) -> Any:
            swing = 0.4 * np.sin(seconds * (2 + np.arange(6) / 5))
            none = np.zeros(0)
            names = list(ROBOT.joint_names)
            return bag.message(
                "sensor_msgs/msg/JointState",
                header=header(stamp_ns), name=names, position=middle + swing, velocity=none, effort=none,
            )  # fmt: skip

        bag.write("/task", bag.message("std_msgs/msg/String", data=task), START_NS)
        for k in range(50 * SECONDS):
            stamp_ns = START_NS + k * 20_000_000
            bag.write("/joint_states", joints(stamp_ns, k / 50), stamp_ns)
            bag.write("/joint_commands", joints(stamp_ns, k / 50 + 0.1), stamp_ns)
        jpeg = b""
        for k in range(30 * SECONDS):
            stamp_ns = START_NS + k * 33_333_333
            if not (frozen and 30 <= k < 90):
                jpeg = encode_jpeg(rng.integers(0, 255, (24, 32, 3), np.uint8))
            data = np.frombuffer(jpeg, np.uint8)
            image = bag.message(
                "sensor_msgs/msg/CompressedImage", header=header(stamp_ns), format="jpeg", data=data
            )
            bag.write("/top/image_raw/compressed", image, stamp_ns)
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
