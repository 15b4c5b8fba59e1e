# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of the library mcap-ros2-support: storage files without metadata.yaml, which tools take as they are.

test/data/mcap_ros2/episode.mcap was written by mcap_ros2.writer.Writer (mcap-ros2-support 0.6.0, mcap 1.6.0) with
chunks of 4000 bytes, topic after topic instead of in the order of time: 1 s of joint states and commands at 50 Hz, of
which joint i is at 0.3 sin(2 t + i) rad and the commands are 0.1 s ahead; 30 images; a task.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.dataset.bag import Bag, find_bags
from smolvla_ros.dataset.errors import BagError
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.tools.bag_to_lerobot import main as bag_to_lerobot
from smolvla_ros.tools.check_dataset import main as check_dataset
from smolvla_ros.tools.view_dataset import main as view_dataset

from ..package_files import CALIBRATION_FILE, ROBOT, ROOT

FILE = ROOT / "test" / "data" / "mcap_ros2" / "episode.mcap"


def copied(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FILE, path)


def test_a_lone_file_is_an_episode_with_its_values() -> None:
    [episode] = read_episodes(FILE, ROBOT, ROBOT.units(None))
    assert episode.tasks == ("Pick up the cube",) and len(episode.cameras["top"].times_s) == 30
    expected = 0.3 * np.sin(2 * episode.state.times_s[:, None] + np.arange(6))
    assert np.allclose(episode.state.positions_rad, expected, atol=1e-6)
    assert episode.action is not None
    ahead = 0.3 * np.sin(2 * (episode.action.times_s[:, None] + 0.1) + np.arange(6))
    assert np.allclose(episode.action.positions_rad, ahead, atol=1e-6)


def test_a_lone_file_is_checked_converted_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_dataset([str(FILE)]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    words = [str(FILE), "--output", str(tmp_path / "data"), "--calibration", str(CALIBRATION_FILE)]
    assert bag_to_lerobot([*words, "--jobs", "1"]) == 0
    dataset = LeRobotDataset.load(tmp_path / "data")
    assert dataset.info["total_frames"] == 29 and list(dataset.tasks) == ["Pick up the cube"]
    assert view_dataset([str(FILE), "--html", str(tmp_path / "page.html")]) == 0
    assert re.search(r"<strong>episode\.mcap</strong>", (tmp_path / "page.html").read_text())


def test_files_in_a_folder_are_episodes_of_their_own(tmp_path: Path) -> None:
    files = [tmp_path / "day" / f"episode_{k}.mcap" for k in range(2)]
    copied(*files, tmp_path / "day" / "evening" / "last.mcap")
    assert find_bags([tmp_path]) == [*files, tmp_path / "day" / "evening"]
    episodes = read_episodes(tmp_path, ROBOT, ROBOT.units(None))
    assert [(episode.name, len(episode.state.times_s)) for episode in episodes] == [
        ("day/episode_0.mcap", 50),
        ("day/episode_1.mcap", 50),
        ("day/evening", 50),
    ]
    with (
        pytest.raises(BagError, match=r"several bags: episode_0\.mcap, episode_1\.mcap"),
        Bag(files[0].parent),
    ):
        pass


def test_files_with_the_name_of_their_folder_are_parts_of_one_bag_in_order(tmp_path: Path) -> None:
    parts = [tmp_path / "day" / f"day_{k}.mcap" for k in (10, 0, 9)]
    copied(*parts)
    assert find_bags([tmp_path]) == [tmp_path / "day"]
    with Bag(tmp_path / "day") as bag:
        assert bag.counts["/joint_states"] == 150
        assert [reader.path.name for reader in bag._readers] == [
            "day_0.mcap",
            "day_9.mcap",
            "day_10.mcap",
        ]


def test_a_file_beside_folders_with_bags_hides_none_of_them(tmp_path: Path) -> None:
    files = [tmp_path / "first.mcap", tmp_path / "day" / "second.mcap"]
    copied(*files)
    assert find_bags([tmp_path]) == [tmp_path, tmp_path / "day"]


def test_a_bag_is_the_same_from_within_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied(*(tmp_path / "day" / f"day_{k}.mcap" for k in range(2)))
    monkeypatch.chdir(tmp_path / "day")
    assert find_bags(["."]) == [Path()]
    [episode] = read_episodes(Path(), ROBOT, ROBOT.units(None))
    assert episode.name == "day" and len(episode.state.times_s) == 100
