# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets are left out for a stated reason, compared with those that are kept, and listed for train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smolvla_ros.arrays import ImageArray
from smolvla_ros.curation.image_quality import ImageSettings, image_faults
from smolvla_ros.curation.selection import (
    SelectionSettings,
    compare_datasets,
    find_datasets,
    survey_dataset,
)
from smolvla_ros.curation.selection_file import read_selection, write_selection
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.tools.curate import main
from smolvla_ros.training.sources import as_datasets

from ..package_files import ROBOT
from ..training.small_dataset import write_small_dataset

SETTINGS = SelectionSettings(min_episodes=2, min_frames=20)
IMAGES = ImageSettings(min_height=48)
GOOD: Mapping[str, Any] = {"lengths": [12, 10], "cameras": ["top"]}
LIMITS = ["--min-episodes", "2", "--min-frames", "20", "--min-height", "48", "--units", "degrees"]


def errors(path: Path) -> list[str]:
    return [finding.check for finding in survey_dataset(path, ROBOT, SETTINGS, IMAGES).errors]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"robot_type": "so101"}, []),
        ({"robot_type": "koch_follower"}, ["embodiment"]),
        ({"lengths": [40]}, ["episodes"]),
        ({"lengths": [9, 9]}, ["frames"]),
        ({"tasks": ["Pick up the bar", "task desc"]}, ["task"]),
        ({"tasks": ["Pick up the bar and put it on the other side"]}, []),  # too long, but clear
        ({"cameras": []}, ["cameras"]),
    ],
)
def test_a_dataset_is_left_out_for_what_its_tables_say(
    tmp_path: Path, changes: dict[str, Any], expected: list[str]
) -> None:
    assert errors(write_small_dataset(tmp_path / "data", **{**GOOD, **changes})) == expected


def test_instructions_count_by_the_frames_that_have_them(tmp_path: Path) -> None:
    folder = write_small_dataset(tmp_path / "data", [38, 2], ["top"], tasks=["Pick up the bar", "Move"])
    [finding] = survey_dataset(folder, ROBOT, SETTINGS, IMAGES).findings
    assert (
        finding.severity == "warning"
        and "95% of the frames" in finding.message
        and "'Move'" in finding.message
    )


def test_a_dataset_without_its_images_is_unreadable(tmp_path: Path) -> None:
    folder = write_small_dataset(tmp_path / "data", **GOOD)
    next(folder.rglob("*.mp4")).unlink()
    assert errors(folder) == ["unreadable"]


def textured() -> ImageArray:
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        (textured(), ""),
        (textured() // 12, "too dark: mean grey level 10"),
        (240 + textured() // 17, "overexposed"),
        (np.full((240, 320, 3), 128, np.uint8), "little contrast"),
        (cv2.resize(textured()[:3, :4], (320, 240), interpolation=cv2.INTER_CUBIC), "blurred"),
        (textured()[:100], "100 pixels high, less than 200"),
    ],
)
def test_faults_of_images_are_named(image: ImageArray, fault: str) -> None:
    found = list(image_faults([image] * 3, ImageSettings()))
    assert len(found) == bool(fault) and all(fault in each for each in found)


def test_rate_and_cameras_must_be_those_of_most_frames(tmp_path: Path) -> None:
    kinds = {
        "a": {},
        "b": {},
        "other_rate": {"fps": 15},
        "other_cameras": {"cameras": ["laptop"]},
        "bad": {"lengths": [200], "fps": 15},  # has the most frames, but is left out anyway
    }
    surveys = [
        survey_dataset(write_small_dataset(tmp_path / name, **{**GOOD, **kind}), ROBOT, SETTINGS, IMAGES)
        for name, kind in kinds.items()
    ]
    found = {each.path.name: [f.check for f in each.errors] for each in compare_datasets(surveys, SETTINGS)}
    assert found == {
        "a": [],
        "b": [],
        "other_rate": ["fps"],
        "other_cameras": ["cameras"],
        "bad": ["episodes", "fps"],
    }


def test_what_is_in_a_hidden_folder_is_no_dataset(tmp_path: Path) -> None:
    for name in ("good", ".good.download/0123", ".hidden"):  # the second is a download that was interrupted
        (tmp_path / "data" / name / "meta").mkdir(parents=True)
        (tmp_path / "data" / name / "meta" / "info.json").touch()
    assert find_datasets([tmp_path / "data"]) == [tmp_path / "data" / "good"]


def test_a_folder_without_datasets_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="contains none"):
        find_datasets([tmp_path])


def test_a_name_in_the_list_may_contain_a_number_sign(tmp_path: Path) -> None:
    write_selection(tmp_path / "list.txt", [tmp_path / "cube#2"], {tmp_path / "bad#1": "error"})
    with (tmp_path / "list.txt").open("a") as file:
        file.write("other  # by hand\n  # nothing\n")
    assert read_selection(tmp_path / "list.txt") == [tmp_path / "cube#2", tmp_path / "other"]


def test_the_list_has_the_selected_datasets_and_train_takes_it(tmp_path: Path, capsys: Any) -> None:
    good = write_small_dataset(tmp_path / "data" / "good", **GOOD)
    bad = write_small_dataset(tmp_path / "data" / "bad", **{**GOOD, "tasks": ["task desc"]})
    listed, page = tmp_path / "selected.txt", tmp_path / "page.html"
    arguments = [str(tmp_path / "data"), "--output", str(listed), "--html", str(page), *LIMITS]
    assert main(arguments) == 0
    assert "1 of 2 datasets are selected" in capsys.readouterr().out
    assert read_selection(listed) == [good]
    assert (
        f"# {bad}: error: task: 0% of the frames have an instruction that says what to do"
        in listed.read_text()
    )
    assert page.read_text().count("data:image/jpeg") == 2
    assert as_datasets([listed], tmp_path / "run", ROBOT, None) == [good]


def test_nothing_selected_is_exit_code_1(tmp_path: Path) -> None:
    write_small_dataset(tmp_path / "data", **GOOD)
    assert main([str(tmp_path), "--no-check"]) == 1  # by default 5 episodes are needed
