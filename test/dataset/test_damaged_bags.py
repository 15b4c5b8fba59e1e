# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A damaged bag among others is reported and left out; an episode that a dataset has already is not added again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.dataset.conversion import WORK_FOLDER
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.tools import bag_to_lerobot, check_dataset

from ..package_files import CALIBRATION_FILE
from ..sample_bags import conversion, record, run

BAGS = 4


@pytest.fixture
def bags(tmp_path: Path) -> Path:
    """Short bags: the second is cut off, the third has a damaged image, which is found when it is encoded."""

    def damage(bag, entries):
        for topic, message, _ in entries:
            if topic.startswith("/top/"):
                message.data = message.data[:50]
        return entries

    for i in range(BAGS):
        record(tmp_path / "bags" / f"bag{i}", seconds=0.3, task=f"Do {i}", edit=damage if i == 2 else None)
    [file] = (tmp_path / "bags" / "bag1").glob("*.mcap")
    file.write_bytes(file.read_bytes()[:3000])
    return tmp_path / "bags"


def convert(*arguments: object) -> int:
    calibration = ("--calibration", CALIBRATION_FILE, "--jobs", "1")
    return bag_to_lerobot.main([str(argument) for argument in (*arguments, *calibration)])


@pytest.mark.slow
def test_the_others_are_converted_and_a_repeated_append_adds_nothing(
    bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    assert convert(bags, "--output", data) == 1
    errors = capsys.readouterr().err
    assert errors.count("bag_to_lerobot: left out: bag ") == 2
    assert "bag1' cannot be read" in errors and "bag2': /top/image_raw/compressed, image 0: " in errors
    assert LeRobotDataset.load(data).tasks == ("Do 0", "Do 3")
    assert not (data / WORK_FOLDER).exists()

    record(bags / "new", seconds=0.4, task="Do 9")
    for _ in range(2):
        assert convert(bags / "bag0", bags / "bag3", bags / "new", "--output", data, "--append") == 0
    shown = capsys.readouterr()
    assert "bag3' is episode 1 of the dataset already" in shown.err
    assert "there was no episode to add" in shown.out
    assert LeRobotDataset.load(data).tasks == ("Do 0", "Do 3", "Do 9")
    assert not (data / WORK_FOLDER).exists()


def test_with_strict_the_first_damaged_bag_is_an_error(
    bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(bags, "--output", tmp_path / "data", "--strict") == 1
    errors = capsys.readouterr().err
    assert "bag1' cannot be read" in errors and "left out" not in errors
    assert not (tmp_path / "data" / "meta").exists()


def test_a_damaged_bag_has_no_known_outcome_and_is_reported(
    bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(bags, "--output", tmp_path / "data", "--outcome", "success") == 1
    assert "left out: bag" in capsys.readouterr().err


def test_episodes_are_known_by_state_action_and_task(tmp_path: Path) -> None:
    def other_action(bag, entries):
        for topic, message, _ in entries:
            if topic == "/joint_commands":
                message.position = np.asarray(message.position) + 1e-3
        return entries

    first = record(tmp_path / "first", seconds=0.3)
    others = [
        record(tmp_path / "copy", seconds=0.3),
        record(tmp_path / "task", seconds=0.3, task="Do something else"),
        record(tmp_path / "action", seconds=0.3, edit=other_action),
        record(tmp_path / "longer", seconds=0.4),
    ]
    run(conversion([first], tmp_path / "data"))
    work = conversion(others, tmp_path / "data")
    assert work.prepare(append=True)
    for index in range(len(others)):
        work.align_bag(index)
    pieces = work.pieces(range(len(others)))
    assert work.known_episodes(pieces) == {pieces[0]: 0}


def test_the_doctor_reports_a_damaged_bag_and_checks_the_others(
    bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert check_dataset.main([str(bags), "--html", str(page)]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "error unreadable: bag1" in shown and "cannot be read" in shown
    assert "duration" in shown and "unreadable" in page.read_text()
    assert check_dataset.main([str(bags), "--strict"]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_the_doctor_reports_when_all_bags_are_damaged(
    bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_dataset.main([str(bags / "bag1"), "--html", str(tmp_path / "page.html")]) == 1
    assert "1 errors, 0 warnings" in capsys.readouterr().out
