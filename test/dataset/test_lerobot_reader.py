# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets written by LeRobot 0.4.4 (test/data/lerobot) are read with the values given to its writer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.dataset.errors import DatasetError, VideoError
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset

DATA = Path(__file__).parents[1] / "data" / "lerobot"
EXPECTED = np.load(DATA / "expected.npz")
TASKS = ("Pick up the red cube and place it in the box", "Wipe the table with the cloth.")


@pytest.mark.parametrize("name", ["pictures", "video"])
def test_rows_are_those_given_to_lerobot(name):
    dataset = LeRobotDataset.load(DATA / name)
    frames = [dataset.frames(episode) for episode in range(3)]
    for key, values in (("state", "state"), ("action", "action"), ("timestamp", "timestamp")):
        assert np.array_equal(np.concatenate([getattr(part, key) for part in frames]), EXPECTED[values])
    assert np.concatenate([part.index for part in frames]).tolist() == list(range(60))
    assert dataset.tasks == TASKS and dataset.fps == 10
    assert [part.tasks[0] for part in frames] == [TASKS[0], TASKS[1], TASKS[0]]


@pytest.mark.parametrize("name, error", [("pictures", 0.0), ("video", 4.0)])
def test_images_are_those_given_to_lerobot(name, error):
    dataset = LeRobotDataset.load(DATA / name)
    images = [image for episode in range(3) for image in dataset.images(episode, "front")]
    assert len(images) == 60
    differences = np.abs(np.array(images[::19]).astype(int) - EXPECTED["image"])
    assert differences.mean() <= error


def test_older_versions_raise_an_error_that_names_the_converter(tmp_path):
    shutil.copytree(DATA / "pictures", tmp_path / "old")
    path = tmp_path / "old" / "meta" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "codebase_version": "v2.1"}))
    with pytest.raises(DatasetError, match="v2.1, expected v3.0; .*convert_dataset_v21_to_v30"):
        LeRobotDataset.load(tmp_path / "old")


def test_a_folder_without_dataset_raises_an_error(tmp_path):
    with pytest.raises(DatasetError, match="is this a LeRobot dataset"):
        LeRobotDataset.load(tmp_path)


def test_a_damaged_video_is_named(tmp_path):
    shutil.copytree(DATA / "video", tmp_path / "cut")
    [path] = (tmp_path / "cut").rglob("*.mp4")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(VideoError, match="file-000.mp4"):
        list(LeRobotDataset.load(tmp_path / "cut").images(0, "front"))


def test_depth_images_are_listed_and_not_read_as_rgb(tmp_path):
    shutil.copytree(DATA / "pictures", tmp_path / "depth")
    path = tmp_path / "depth" / "meta" / "info.json"
    info = json.loads(path.read_text())
    picture = {"dtype": "image", "shape": [64, 96, 1], "names": ["height", "width", "channels"]}
    video = {"dtype": "video", "shape": [64, 96, 3], "names": ["height", "width", "channels"]}
    info["features"] |= {
        "observation.images.front_depth": picture,
        "observation.images.wrist": {**video, "info": {"is_depth_map": True}},
        "observation.images.side": {**video, "video_info": {"video.is_depth_map": True}},
        "observation.images.painted_depth": {**video, "info": {"video.is_depth_map": False}},
    }
    path.write_text(json.dumps(info))
    dataset = LeRobotDataset.load(tmp_path / "depth")
    assert dataset.image_keys == ("front", "painted_depth")
    assert dataset.depth_keys == ("front_depth", "wrist", "side")
    with pytest.raises(DatasetError, match="observation.images.wrist holds depth images"):
        next(dataset.images(0, "wrist"))
