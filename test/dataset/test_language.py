# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Language columns and tools, as LeRobot 0.6.1 wrote them, survive edits, bags and appending.

test/data/lerobot_language was made by test/bench/contenders/lerobot_language.py in LeRobot's environment.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from smolvla_ros.dataset.alignment import AlignmentSettings
from smolvla_ros.dataset.bag_export import write_bag
from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.dataset.edited_dataset import write_edited
from smolvla_ros.dataset.edits import Edits, edited_clips
from smolvla_ros.dataset.language import COLUMNS, EpisodeLanguage
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.parallel_conversion import convert

from ..package_files import CALIBRATION, ROBOT, ROOT
from ..training.small_dataset import write_small_dataset

START_NS = 1_700_000_000_000_000_000
FPS = 10
CAMERA = "observation.images.top"
SUBTASKS = [(0.0, "reach for the bar"), (0.3, "lift the bar")]


@pytest.fixture(scope="module")
def theirs() -> LeRobotDataset:
    return LeRobotDataset.load(ROOT / "test" / "data" / "lerobot_language")


def edited(dataset: LeRobotDataset, output: Path, edits: Edits) -> LeRobotDataset:
    return write_edited({"": edited_clips([dataset], edits)}, [dataset], edits, output, 1)[""]


def subtasks(language: EpisodeLanguage) -> list[tuple[float, str]]:
    return [
        (round(time_s, 6), row["content"]) for time_s, row in language.persistent if row["style"] == "subtask"
    ]


def conversion(bag: Path, output: Path, task: str | None = None, subtasks: bool = False) -> Conversion:
    return Conversion(
        (bag,),
        output,
        ROBOT,
        AlignmentSettings(FPS),
        CALIBRATION,
        task=task,
        camera_names="name",
        codec="av1",
        subtasks=subtasks,
    )


def test_rows_are_read_with_their_times(theirs: LeRobotDataset) -> None:
    language = theirs.language(0)
    assert subtasks(language) == SUBTASKS
    said = {"type": "function", "function": {"name": "say", "arguments": {"text": "On my way"}}}
    assert language.events == (
        (0.1, {"role": "assistant", "tool_calls": [said]}),
        (0.2, {"role": "assistant", "content": "on the left", "style": "vqa", "camera": CAMERA}),
        (0.2, {"role": "user", "content": "Where is the bar?", "style": "vqa", "camera": CAMERA}),
        (0.4, {"role": "user", "content": "Faster, please", "style": "interjection"}),
    )
    assert theirs.language(1) == EpisodeLanguage()
    assert [tool["function"]["name"] for tool in theirs.tools] == ["say"]


def test_an_edited_dataset_keeps_rows_and_tools(theirs: LeRobotDataset, tmp_path: Path) -> None:
    made = edited(theirs, tmp_path / "new", Edits(task_texts={"Lift the bar": "Raise the bar"}))
    assert [made.language(episode) for episode in (0, 1)] == [theirs.language(0), EpisodeLanguage()]
    assert made.tools == theirs.tools
    assert {name: made.features[name] for name in COLUMNS} == {
        name: theirs.features[name] for name in COLUMNS
    }


def test_rows_follow_a_cut_and_a_renamed_camera(theirs: LeRobotDataset, tmp_path: Path) -> None:
    edits = Edits(keep=[0], split={0: [0.2, 0.3]}, cameras={"top": "camera1"})
    made = edited(theirs, tmp_path / "new", edits)
    languages = [made.language(episode) for episode in range(3)]
    assert [subtasks(each) for each in languages] == [
        [(0.0, "reach for the bar")],
        [(0.0, "reach for the bar")],
        [(0.0, "lift the bar")],
    ]
    assert [[round(time_s, 6) for time_s, _ in each.events] for each in languages] == [
        [0.1],
        [0.0, 0.0],
        [0.1],
    ]
    assert [row["camera"] for _, row in languages[1].events] == ["observation.images.camera1"] * 2


def test_datasets_with_and_without_language_are_merged(theirs: LeRobotDataset, tmp_path: Path) -> None:
    features = {name: feature for name, feature in theirs.features.items() if name not in COLUMNS}
    plain = edited(
        replace(theirs, info={**theirs.info, "features": features}), tmp_path / "plain", Edits(keep=[1])
    )
    assert not plain.has_language
    both = [plain, theirs]
    made = write_edited({"": edited_clips(both, Edits())}, both, Edits(), tmp_path / "new", 1)[""]
    assert [bool(made.language(episode).persistent) for episode in range(3)] == [False, True, False]


def test_rows_and_tools_go_through_a_bag_and_are_appended(theirs: LeRobotDataset, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    write_bag(theirs, 0, bag, ROBOT, CALIBRATION, START_NS)
    made = convert(conversion(bag, tmp_path / "made"), False, 1).dataset
    assert made is not None and made.language(0) == theirs.language(0) and made.tools == theirs.tools
    copy = tmp_path / "copy"
    shutil.copytree(theirs.root, copy)
    grown = convert(conversion(bag, copy, task="Raise the bar"), True, 1).dataset
    assert grown is not None and len(grown.episodes) == 3
    assert [grown.language(episode) for episode in range(3)] == [
        theirs.language(0),
        EpisodeLanguage(),
        theirs.language(0),
    ]


def test_instructions_that_change_become_subtasks(tmp_path: Path) -> None:
    folder = write_small_dataset(tmp_path / "data", [8, 6], ["top"])
    [rows] = folder.glob("data/*/*.parquet")
    table = pyarrow.parquet.read_table(rows, partitioning=None)
    changed = pyarrow.array([0] * 5 + [1] * 9)
    column = table.column_names.index("task_index")
    pyarrow.parquet.write_table(table.set_column(column, "task_index", changed), rows)
    bag = tmp_path / "bag"
    write_bag(LeRobotDataset.load(folder), 0, bag, ROBOT, CALIBRATION, START_NS)
    made = convert(conversion(bag, tmp_path / "made", subtasks=True), False, 1).dataset
    assert made is not None
    assert subtasks(made.language(0)) == [(0.0, "Move the bar 0"), (0.5, "Move the bar 1")]
    assert made.frames(0).tasks == ["Move the bar 0"] * 5 + ["Move the bar 1"] * 3


def test_one_instruction_is_no_subtask() -> None:
    assert EpisodeLanguage.of_tasks(["Push the bar"] * 3, FPS) == EpisodeLanguage()
