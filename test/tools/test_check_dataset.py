# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`check_dataset` prints findings of bags and datasets, and saves a self-contained HTML page."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.dataset.bag_export import write_bag
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.image import encode_jpeg
from smolvla_ros.policy.preflight.unit_evidence import with_units
from smolvla_ros.tools.check_dataset import main

from .. import sample_bags
from ..package_files import CALIBRATION_FILE
from ..sample_bags import CALIBRATION, ROBOT, Entry, conversion, image, joint_state, run

START_NS = 1_700_000_000_000_000_000
SECONDS = 4
MIDDLE_RAD = np.array([joint.middle_rad for joint in ROBOT.joints])


def record(
    path: Path,
    frozen: bool = False,
    task: str = "Pick up the cube",
    edit: Callable[[int, Any], None] = lambda k, message: None,
    commands: str = "/joint_commands",
) -> Path:
    """A bag of a camera at 30 Hz, and of joints and commands at 50 Hz, which are 100 ms ahead.

    `edit` changes image k.
    """
    rng = np.random.default_rng(0)

    def poses(seconds: float) -> Any:
        return MIDDLE_RAD + 0.4 * np.sin(seconds * (2 + np.arange(6) / 5))

    with BagWriter(path) as bag:
        bag.write("/task", bag.message("std_msgs/msg/String", data=task), START_NS)
        for k in range(50 * SECONDS):
            stamp_ns = START_NS + k * 20_000_000
            bag.write("/joint_states", joint_state(bag, stamp_ns, poses(k / 50)), stamp_ns)
            bag.write(commands, joint_state(bag, stamp_ns, poses(k / 50 + 0.1)), stamp_ns)
        for k in range(30 * SECONDS):
            stamp_ns = START_NS + k * 33_333_333
            if not (frozen and 30 <= k < 90):
                pixels = rng.integers(0, 255, (24, 32, 3), np.uint8)
            message = image(bag, stamp_ns, pixels)
            edit(k, message)
            bag.write("/top/image_raw/compressed", message, stamp_ns)
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


def test_the_page_has_all_findings_with_a_picture_and_a_video(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    main([str(record(tmp_path / "bag", frozen=True, task="<b>Move</b>")), "--html", str(page)])
    text = page.read_text()
    [picture] = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert base64.b64decode(picture).startswith(b"\xff\xd8") and text.count("data:video/mp4;base64,") == 1
    assert "frozen camera" in text and "&lt;b&gt;Move" in text and "<b>Move" not in text


def errors(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What is printed about a bag with errors, in one line."""
    assert main([str(path), *options]) == 1
    return " ".join(capsys.readouterr().out.split())


def test_images_that_do_not_decode_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def cut(k: int, message: Any) -> None:
        if k in (7, 8, 60):
            message.data = message.data[: 100 + k]

    shown = errors(record(tmp_path / "bag", edit=cut), capsys)
    assert (
        "error damaged images: top, bag 3 of 120 images cannot be decoded; the first: JPEG image is trunc"
        in shown
    )
    assert "1 errors, 0 warnings" in shown
    [episode] = read_episodes(tmp_path / "bag", ROBOT, ROBOT.units(None))
    assert episode.cameras["top"].first_fault_s == pytest.approx(7 / 30, abs=0.001)


def test_black_images_of_a_bag_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    black = np.frombuffer(encode_jpeg(np.full((24, 32, 3), 4, np.uint8)), np.uint8)

    def cover(k: int, message: Any) -> None:
        if k % 2:
            message.data = black

    assert "60 of 120 images are black" in errors(record(tmp_path / "bag", edit=cover), capsys)


def test_empty_stamps_are_the_only_finding_of_a_bag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def clear(k: int, message: Any) -> None:
        message.header.stamp.sec = message.header.stamp.nanosec = 0

    shown = errors(record(tmp_path / "bag", edit=clear), capsys)
    assert "120 of 120 messages have an empty header stamp. " in shown and "--time receive" in shown
    assert "1 errors, 0 warnings" in shown


def test_gaps_are_found_in_stamps_that_are_slightly_out_of_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def swap(k: int, message: Any) -> None:
        if k % 10 == 0:
            message.header.stamp.nanosec += 45_000_000  # stamped 12 ms after the next image
        message.header.stamp.nanosec += 600_000_000 * (k >= 60)

    assert main([str(record(tmp_path / "bag", edit=swap))]) == 0
    shown = capsys.readouterr().out
    assert "warning gaps: top" in shown and "stamps decrease" not in shown


def test_topics_are_named_as_for_the_converter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = record(tmp_path / "bag", commands="/leader/joint_states")
    assert "name the topic that has the actions: --action TOPIC" in errors(
        bag, capsys, "--state", "/joint_states"
    )
    options = [
        "--state",
        "/joint_states",
        "--action",
        "leader/joint_states",
        "--cameras",
        "top",
        "--time",
        "receive",
    ]
    assert main([str(bag), *options]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    assert main([str(bag), *options, "--task", "Up"]) == 0
    assert "warning task: 'Up'" in capsys.readouterr().out


def test_the_unit_that_a_dataset_states_is_trusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, data = record(tmp_path / "bag"), tmp_path / "data"
    run(conversion([bag], data))
    options = [str(data), "--calibration", str(CALIBRATION_FILE)]
    assert main(options) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    assert main([*options, "--units", "range_m100_100"]) == 1
    assert "shoulder_pan in degrees, not range_m100_100" in " ".join(capsys.readouterr().out.split())
    other = with_units(ROBOT, "range_m100_100")
    with pytest.raises(DatasetError, match="is in shoulder_pan: degrees"):
        run(conversion([bag], data, robot=other), append=True)
    with pytest.raises(DatasetError, match="states shoulder_pan in degrees, not range_m100_100"):
        write_bag(LeRobotDataset.load(data), 0, tmp_path / "again", other, CALIBRATION, START_NS)


@pytest.mark.parametrize("topic", ["/joint_states", "/joint_commands"])
def test_topics_of_another_type_are_named(
    topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def as_array(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        layout = bag.message("std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
        array = bag.message("std_msgs/msg/Float64MultiArray", layout=layout, data=np.zeros(6))
        return [(name, array if name == topic else message, at) for name, message, at in entries]

    assert main([str(sample_bags.record(tmp_path / "bag", edit=as_array))]) == 1
    what = "state" if topic == "/joint_states" else "action"
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{topic} (the {what}) is a std_msgs/msg/Float64MultiArray" in shown


def test_paths_without_recording_raise_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 1
    assert "is not a bag and contains none" in capsys.readouterr().err
    assert main([str(tmp_path), "--robot", "missing.yaml"]) == 2
