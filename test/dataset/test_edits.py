# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Edited datasets hold the chosen frames, exact statistics and their origin; what cannot be done is named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from smolvla_ros.dataset import edited_dataset, video
from smolvla_ros.dataset.edited_dataset import HISTORY, write_edited
from smolvla_ros.dataset.edits import Clip, Edits, edited_clips, parts_by_share, parts_by_task
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.global_statistics import HISTOGRAMS
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.output_lock import locked_folder
from smolvla_ros.dataset.statistics import ImageHistogram, value_statistics
from smolvla_ros.tools.edit_dataset import main

from ..training.small_dataset import write_small_dataset

NOTHING = Edits()
LENGTHS, FPS = [12, 9, 8], 10  # the tasks are "Move the bar 0" and "Move the bar 1" in turn


def add_reward(folder: Path) -> None:
    """Add a feature that this package does not write itself."""
    [rows] = folder.glob("data/*/*.parquet")
    table = pyarrow.parquet.read_table(rows, partitioning=None)
    rewards = pyarrow.array(np.arange(len(table), dtype=np.float32))
    pyarrow.parquet.write_table(table.append_column("next.reward", rewards), rows)
    change_info(folder, **{"next.reward": {"dtype": "float32", "shape": [1], "names": None}})


def change_info(folder: Path, **features: object) -> None:
    path = folder / "meta" / "info.json"
    info = json.loads(path.read_text())
    info["features"] |= features
    path.write_text(json.dumps(info))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> LeRobotDataset:
    folder = write_small_dataset(tmp_path_factory.mktemp("data") / "bar", LENGTHS, fps=FPS)
    add_reward(folder)
    return LeRobotDataset.load(folder)


def ranges(clips: Sequence[Clip]) -> list[tuple[int, int, int]]:
    return [(clip.episode, clip.begin, clip.end) for clip in clips]


def pictures(dataset: LeRobotDataset, episode: int, camera: str) -> np.ndarray:
    return np.array(list(dataset.images(episode, camera)), int)


@pytest.mark.parametrize(
    "edits, expected",
    [
        (Edits(), [(0, 0, 12), (1, 0, 9), (2, 0, 8)]),
        (Edits(drop=[0, 2]), [(1, 0, 9)]),
        (Edits(keep=[2]), [(2, 0, 8)]),
        (Edits(keep=[0], trim={0: (0.25, 0.7)}), [(0, 3, 7)]),
        (Edits(keep=[0], trim={0: (0.3, None)}), [(0, 3, 12)]),
        (Edits(drop=[1], split={2: [0.1, 0.7]}), [(0, 0, 12), (2, 0, 1), (2, 1, 7), (2, 7, 8)]),
        (Edits(keep=[0], trim={0: (0.2, 1.0)}, split={0: [0.5]}), [(0, 2, 5), (0, 5, 10)]),
    ],
)
def test_episodes_are_chosen_and_cut_at_the_frames_of_the_given_times(source, edits, expected):
    assert ranges(edited_clips([source], edits)) == expected


def test_the_episodes_of_further_inputs_are_counted_on(source):
    clips = edited_clips([source, source], Edits(keep=[1, 3], outcomes={3: "failure"}))
    assert [(clip.episode, clip.outcome) for clip in clips] == [(1, ""), (0, "failure")]


@pytest.mark.parametrize(
    "edits, message",
    [
        (Edits(drop=[3]), "no episode 3, there are 3"),
        (Edits(drop=[0, 1, 2]), "no episode is left"),
        (Edits(trim={1: (0.5, 1.0)}), "episode 1 would be cut at 0.5, 1 s.* between 0 and 0.9 s"),
        (Edits(trim={1: (0.5, 0.2)}), "must ascend"),
        (Edits(split={0: [0.0]}), "must ascend"),
        (Edits(split={0: [0.4, 1.2]}), "between 0 and 1.2 s"),
        (Edits(task_texts={"Sleep": "Wake"}), "no episode has the task 'Sleep'; .*'Move the bar 0'"),
    ],
)
def test_impossible_edits_name_the_value_and_what_is_possible(source, edits, message):
    with pytest.raises(DatasetError, match=message):
        edited_clips([source], edits)


def test_shares_take_the_episodes_in_order(source):
    clips = edited_clips([source], Edits())
    parts = parts_by_share(clips, {"train": 0.7, "val": 0.3})
    assert {name: [clip.episode for clip in part] for name, part in parts.items()} == {
        "train": [0, 1],
        "val": [2],
    }


@pytest.mark.parametrize(
    "shares, message",
    [
        ({"a": 0.5, "b": 0.4}, "add up to 0.9"),
        ({"a": 0.9, "b": 0.1}, "'b' has no episode, of 3"),
        ({"../a": 0.5, "b": 0.5}, "'../a' cannot be the name"),
        ({"a": 2.0}, "'a' has the share 2"),
    ],
)
def test_impossible_shares_are_named(source, shares, message):
    with pytest.raises(DatasetError, match=message):
        parts_by_share(edited_clips([source], Edits()), shares)


def test_parts_by_task_have_names_made_of_the_task(source):
    edits = Edits(tasks={0: "Pick it up!"})
    parts = parts_by_task(edited_clips([source], edits), edits)
    assert {name: ranges(part) for name, part in parts.items()} == {
        "00_pick_it_up": [(0, 0, 12)],
        "01_move_the_bar_1": [(1, 0, 9)],
        "02_move_the_bar_0": [(2, 0, 8)],
    }


def test_an_edited_dataset_has_the_chosen_rows_images_and_marks(source, tmp_path):
    edits = Edits(
        drop=[1],
        trim={0: (0.3, 1.0)},  # frame 3 is no key frame
        split={2: [0.4]},
        tasks={2: "Rest"},
        task_texts={"Move the bar 0": "Push the bar"},
        outcomes={0: "success"},
        cameras={"camera1": "front"},
    )
    made = write_edited({"": edited_clips([source], edits)}, [source], edits, tmp_path / "new", 1)[""]
    assert made.image_keys == ("front", "camera2") and made.tasks == ("Push the bar", "Rest")
    assert made.outcomes == ("success", "", "")
    origins = [(0, 3, 10), (2, 0, 4), (2, 4, 8)]
    for episode, (origin, begin, end) in enumerate(origins):
        rows, before = made.frames(episode), source.frames(origin)
        assert np.array_equal(rows.state, before.state[begin:end])
        assert np.array_equal(rows.action, before.action[begin:end])
        assert np.allclose(rows.timestamp, np.arange(end - begin) / FPS)
        assert rows.tasks == ["Rest" if origin else "Push the bar"] * (end - begin)
        reward = made.columns(episode, ["next.reward"])["next.reward"]
        assert np.array_equal(reward, source.columns(origin, ["next.reward"])["next.reward"][begin:end])
        for new, old in (("front", "camera1"), ("camera2", "camera2")):
            error = np.abs(pictures(made, episode, new) - pictures(source, origin, old)[begin:end])
            assert error.mean() < 2.0 and (
                origin == 0 or error.max() == 0
            )  # of episode 2 the packets are copied
    assert made.stats["action"] == value_statistics(made.values("action"))
    assert made.stats["next.reward"]["count"] == [15]
    histogram = ImageHistogram()
    for episode in range(3):
        for image in made.images(episode, "front"):
            histogram.add(image)
    assert made.stats["observation.images.front"] == histogram.statistics()
    assert json.loads((made.root / HISTOGRAMS).read_text())["observation.images.front"] == histogram.to_json()
    history = json.loads((made.root / HISTORY).read_text())
    assert history["edits"]["drop"] == [1] and history["inputs"][0]["name"] == "bar"
    assert [(e["episode"], *e["frames"]) for e in history["episodes"]] == origins


def test_merged_datasets_keep_their_images_also_if_their_videos_were_encoded_otherwise(
    source, tmp_path, monkeypatch
):
    encoder = video.CODECS["h264"]
    options = {**encoder.options, "preset": "veryfast"}
    monkeypatch.setitem(video.CODECS, "h264", encoder._replace(options=options))
    other = write_small_dataset(tmp_path / "other", [5], fps=FPS)
    add_reward(other)
    assert main([str(source.root), str(other), "--output", str(tmp_path / "both"), "--jobs", "1"]) == 0
    both = LeRobotDataset.load(tmp_path / "both")
    assert len(both.episodes) == 4 and both.info["total_frames"] == sum(LENGTHS) + 5
    assert len(list(both.root.glob("videos/observation.images.camera1/*/*.mp4"))) == 2
    for dataset, origin, episode in ((source, 2, 2), (LeRobotDataset.load(other), 0, 3)):
        assert np.array_equal(pictures(both, episode, "camera2"), pictures(dataset, origin, "camera2"))


def test_an_interrupted_edit_leaves_nothing(source, tmp_path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(edited_dataset, "add_episodes", interrupt)
    monkeypatch.setattr(edited_dataset, "run_all", lambda *_: None)
    monkeypatch.setattr(edited_dataset.StagingFolder, "episode", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        write_edited({"": edited_clips([source], Edits())}, [source], Edits(), tmp_path / "new", 1)
    assert list(tmp_path.iterdir()) == []


def refusal(datasets: Sequence[LeRobotDataset], output: Path, edits: Edits = NOTHING) -> str:
    with pytest.raises(DatasetError) as refused:
        write_edited({"": edited_clips(datasets, edits)}, datasets, edits, output, 1)
    return str(refused.value)


def test_what_would_harm_a_dataset_is_refused(source, tmp_path):
    assert "always a new one" in refusal([source], source.root.parent)
    assert "is in the input" in refusal([source], source.root / "new")
    with locked_folder(tmp_path / ".new.edited"):
        assert "is being written by another program" in refusal([source], tmp_path / "new")


def test_inputs_and_features_that_do_not_fit_are_refused(source, tmp_path):
    assert "no input has a camera 'top'" in refusal([source], tmp_path / "new", Edits(cameras={"top": "x"}))
    message = refusal([source], tmp_path / "new", Edits(cameras={"camera1": "a/b"}))
    assert "'a/b' cannot be the name of a camera; give one without '/'" in message
    twice = Edits(cameras={"camera1": "camera2"})
    assert "observation.images.camera2 twice" in refusal([source], tmp_path / "new", twice)
    other = write_small_dataset(tmp_path / "other", [3], cameras=("camera1",), fps=FPS)
    message = refusal([source, LeRobotDataset.load(other)], tmp_path / "new")
    assert f"'{other}': feature next.reward is None, in '{source.root}' {{" in message
    change_info(other, notes={"dtype": "string", "shape": [1], "names": None})
    assert "notes is string" in refusal([LeRobotDataset.load(other)], tmp_path / "new")
    data = Path(__file__).parents[1] / "data" / "lerobot" / "pictures"
    assert "convert_image_to_video" in refusal([LeRobotDataset.load(data)], tmp_path / "new")


def test_a_damaged_history_of_an_input_is_named(tmp_path):
    folder = write_small_dataset(tmp_path / "data", [3], cameras=("camera1",), fps=FPS)
    (folder / HISTORY).write_text("{")
    message = refusal([LeRobotDataset.load(folder)], tmp_path / "new")
    assert f"'{folder / HISTORY}' is not valid JSON" in message


@pytest.mark.parametrize(
    "words, message",
    [
        ("--drop 5", "--drop: there are no episodes 5, there are 3"),
        ("--keep 2-1", "--keep: there are no episodes 2-1"),
        ("--keep x", "such as 3,7-9"),
        ("--trim 0=3", "times such as 0.5..12"),
        ("--trim 0=a..", "number of 0 or above, got 'a'"),
        ("--trim 0=1.. all=2..", "episode 0 is given twice"),
        ("--outcome 0=good", "expected success or failure, got 'good'"),
        ("--task 0", "both sides of '='"),
    ],
)
def test_wrong_options_are_named(source, tmp_path, capsys, words, message):
    assert main([str(source.root), "--output", str(tmp_path / "new"), *words.split()]) == 2
    assert message in capsys.readouterr().err
