# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page lists faulty episodes first, with findings and pictures; what it plays is on one time."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smolvla_ros.dataset.checks import check_episodes
from smolvla_ros.dataset.inspection import InspectedEpisode, read_episodes
from smolvla_ros.dataset.video import decode_video
from smolvla_ros.finding import Finding, Report
from smolvla_ros.viewer.episode_page import list_entries, motion_json, page
from smolvla_ros.viewer.page_files import EmbeddedFiles, FolderFiles
from smolvla_ros.viewer.previews import VIDEO_HZ, camera_video, on_grid

from ..dataset.test_checks import frozen, good_episode, with_gap
from ..package_files import ROBOT
from ..sample_bags import CALIBRATION, conversion, record, run


def episodes_with_one_frozen(count: int, bad: int) -> list[InspectedEpisode]:
    good = good_episode()
    return [replace(frozen(good) if k == bad else good, name=f"episode {k}") for k in range(count)]


def page_of(episodes: Sequence[InspectedEpisode], findings: Sequence[Finding] = ()) -> str:
    return page("data", Report({}, tuple(findings)), episodes, ROBOT, EmbeddedFiles())


def data_of(text: str) -> Any:
    found = re.search(r'id="episodes">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


def test_the_one_bad_episode_of_fifty_is_the_first_of_the_list_and_selected_with_its_finding() -> None:
    episodes = episodes_with_one_frozen(50, bad=36)
    text = page_of(episodes, check_episodes(episodes, ROBOT))
    items = re.findall(r"<li><button.*?</button></li>", text, re.S)
    assert len(items) == 50 and "<strong>episode 36</strong>" in items[0]
    assert 'class="error"' in items[0] and "error: frozen camera, wrist" in items[0]
    assert not any("finding" in item for item in items[1:])
    first = data_of(text)[0]  # page.js selects it
    assert first["name"] == "episode 36" and first["findings"][0]["time_s"] == pytest.approx(3.3, abs=0.1)


def test_errors_come_before_warnings_and_unreadable_episodes_are_listed() -> None:
    good = good_episode()
    episodes = [
        replace(good, name="good"),
        replace(with_gap(good), name="gap"),
        replace(frozen(good), name="frozen"),
    ]
    lost = Finding("error", "unreadable", "it is cut", episode="lost")
    of_all = Finding("warning", "units", "they may be others")
    entries = list_entries(episodes, [*check_episodes(episodes, ROBOT), lost, of_all])
    assert [(entry.name, entry.severity) for entry in entries] == [
        ("frozen", "error"),
        ("lost", "error"),
        ("gap", "warning"),
        ("good", "ok"),
    ]
    text = page_of(episodes, [lost, of_all])
    assert "lost" in text and "they may be others" in text


def test_text_of_a_recording_is_escaped() -> None:
    episode = replace(good_episode(), tasks=("</script><b>Move</b>",))
    text = page_of([episode], check_episodes([episode], ROBOT))
    assert "<b>Move" not in text and "&lt;b&gt;Move" in text and "</script>&lt" not in text
    assert data_of(text)[0]["tasks"] == ["</script><b>Move</b>"]


def test_the_page_needs_no_other_file() -> None:
    assert not re.search(r"(src|href)=\"?(https?:|/)|@import|url\(", page_of([good_episode()]))


def test_positions_are_degrees_from_the_middle_and_unknown_ones_are_null() -> None:
    episode = good_episode()
    positions = episode.state.positions_rad.copy()
    positions[:, 5] = np.nan
    track = replace(episode.state, positions_rad=positions)
    curves = json.loads(motion_json(replace(episode, state=track, action=None), ROBOT))
    joint = ROBOT.joints[2]
    assert curves["state"]["joints"][2][7] == pytest.approx(
        np.degrees(positions[7, 2] - joint.middle_rad), abs=0.01
    )
    assert set(curves["state"]["joints"][5]) == {None} and curves["action"] is None


def test_a_preview_shows_the_newest_image_at_each_time() -> None:
    images = [np.full((2, 2, 3), grey, np.uint8) for grey in range(4)]
    times_s = np.array([0.15, 0.2, 0.45, 0.5])
    shown = [int(image[0, 0, 0]) for image in on_grid(images, times_s, 10)]
    assert shown == [0, 0, 1, 1, 1, 3]
    damaged = [None, *images[1:3], None]
    assert [int(image[0, 0, 0]) for image in on_grid(damaged, times_s, 10)] == [1, 1, 1, 1, 1, 2]


def test_a_bag_becomes_small_videos_and_a_picture_of_the_first_finding(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", seconds=2.0)
    [episode] = read_episodes(bag, ROBOT, ROBOT.units(None))
    found = camera_video(episode, "top", EmbeddedFiles())
    assert found is not None and found["from_s"] == 0.0
    video = tmp_path / "top.mp4"
    video.write_bytes(base64.b64decode(found["src"].removeprefix("data:video/mp4;base64,")))
    shown = [image.mean() for image in decode_video(video, 0.0, 30, VIDEO_HZ)]
    assert (
        np.abs(np.array(shown) - 2.0 * np.arange(30)).max() < 4
    )  # image k of the bag, at 30/s, is of grey k
    finding = Finding("error", "jumps", "fast", episode="bag", time_s=1.5)
    text = page_of([episode], [finding])
    [picture] = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', text)
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None and pixels.mean() == pytest.approx(45, abs=2)


def test_the_videos_of_a_dataset_are_played_as_they_are_from_where_an_episode_begins(tmp_path: Path) -> None:
    bags = [record(tmp_path / name, seconds=1.0, cameras={"top": 30.0}) for name in ("a", "b")]
    run(conversion(bags, tmp_path / "data"))
    episodes = list(read_episodes(tmp_path / "data", ROBOT, ROBOT.units(CALIBRATION)))
    files = FolderFiles(tmp_path / "page")
    files.folder.mkdir()
    [camera] = episodes[0].cameras
    places = [camera_video(episode, camera, files) for episode in episodes]
    assert places[0] and places[1] and places[0]["src"] == places[1]["src"]
    assert (files.folder / places[0]["src"]).resolve().is_relative_to(tmp_path / "data" / "videos")
    assert [place["from_s"] for place in places if place] == [
        0.0,
        pytest.approx(len(episodes[0].state.times_s) / 30),
    ]


def test_a_camera_whose_video_is_missing_cannot_be_shown(tmp_path: Path) -> None:
    run(conversion([record(tmp_path / "bag", cameras={"top": 30.0})], tmp_path / "data"))
    for video in (tmp_path / "data").rglob("*.mp4"):
        video.unlink()
    [episode] = read_episodes(tmp_path / "data", ROBOT, ROBOT.units(CALIBRATION))
    text = page_of([episode], check_episodes([episode], ROBOT))
    assert "src" not in data_of(text)[0]["cameras"][0] and "error: damaged images" in text
