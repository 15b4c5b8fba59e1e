# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Views are told by names and by motion; where these contradict each other or say nothing, it is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.arrays import ImageArray
from smolvla_ros.curation.camera_views import new_camera_names, propose_views, view_of_name
from smolvla_ros.curation.image_motion import CameraMotion, camera_motion
from smolvla_ros.curation.view_question import ask_view
from smolvla_ros.curation.vision_language_model import Question
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.tools.standardize_views import main

from ..training.small_dataset import moving_bar, write_small_dataset
from .answer_server import answer_server

ON_ARM, STILL, UNCLEAR = CameraMotion(0.6, 0.7), CameraMotion(0.15, 0.8), CameraMotion(0.5, 0.0)


@pytest.mark.parametrize(
    ("camera", "view"),
    [
        ("top", "top"),
        ("cam_high", "top"),
        ("overheadCamera", "top"),
        ("wrist.left", "wrist"),
        ("gripper_cam", "wrist"),
        ("front", "side"),
        ("laptop", ""),
        ("phone", ""),
        ("webcam0", ""),
        ("camera1", ""),
        ("top_right", ""),
    ],
)
def test_a_name_says_a_view_or_none(camera: str, view: str) -> None:
    assert view_of_name(camera) == view


@pytest.mark.parametrize(
    ("motions", "views"),
    [
        ({"top": STILL, "wrist": ON_ARM}, ["top", "wrist"]),
        ({"top": UNCLEAR, "wrist": UNCLEAR}, ["top", "wrist"]),
        ({"top": ON_ARM, "wrist": STILL}, ["wrist", "top"]),  # swapped
        ({"laptop": STILL, "phone": ON_ARM}, ["", "wrist"]),
        ({"laptop": STILL, "top": STILL, "phone": ON_ARM}, ["side", "top", "wrist"]),
        ({"laptop": STILL, "webcam": STILL, "phone": ON_ARM}, ["", "", "wrist"]),
        ({"camera1": STILL, "camera2": ON_ARM, "camera3": STILL}, ["top", "wrist", "side"]),
        ({"camera1": ON_ARM, "camera2": STILL}, ["wrist", ""]),
        ({"front": STILL, "side": STILL}, ["side", ""]),
        ({"wrist": STILL}, [""]),
    ],
)
def test_names_and_motion_together_tell_the_view(motions: dict[str, CameraMotion], views: list[str]) -> None:
    proposals = propose_views(list(motions), motions, {})
    assert [proposal.view for proposal in proposals] == views
    assert all(proposal.doubt for proposal in proposals if not proposal.view)


def test_a_contradiction_of_name_and_motion_is_a_doubt() -> None:
    first, second = propose_views(["top", "wrist"], {"top": ON_ARM, "wrist": STILL}, {})
    assert "its name says top, but 60% of its image" in first.doubt and "exchanged with top" in second.reason


def test_a_person_and_a_model_decide_what_is_not_known() -> None:
    motions = {"laptop": STILL, "webcam": STILL}
    asked = propose_views(list(motions), motions, {}, {"laptop": "top", "webcam": "wrist"}.get)
    assert [each.view for each in asked] == ["top", ""]  # a camera that stands still is not on the wrist
    given = propose_views(list(motions), motions, {"webcam": "top", "laptop": "side"})
    assert [each.view for each in given] == ["side", "top"]
    with pytest.raises(DatasetError, match="'phone=side': the cameras are laptop, webcam"):
        propose_views(list(motions), motions, {"phone": "side"})


def test_names_are_numbers_or_views() -> None:
    motions = {"phone": ON_ARM, "top": STILL, "laptop": STILL}
    proposals = propose_views(list(motions), motions, {})
    assert new_camera_names(proposals) == {"phone": "camera2", "top": "camera1", "laptop": "camera3"}
    assert new_camera_names(proposals, by_view=True) == {"phone": "wrist", "laptop": "side"}


def texture(position: float, camera: int) -> ImageArray:
    """Camera 0 shows a texture that moves with the joint, the others a bar in front of one that stands still."""
    image = np.random.default_rng(0).integers(0, 256, (12, 32, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    if camera == 0:
        return np.roll(image, round(position), axis=1)[:, :64]
    bar = moving_bar(position, camera)
    return np.where(bar > 200, bar, image[:, :64])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> LeRobotDataset:
    folder = tmp_path_factory.mktemp("views") / "data"
    return LeRobotDataset.load(write_small_dataset(folder, [30, 30], ["phone", "top"], image=texture))


def test_a_camera_on_the_arm_is_told_from_one_that_stands_still(dataset: LeRobotDataset) -> None:
    assert camera_motion(dataset, "phone").is_on_arm is True
    assert camera_motion(dataset, "top").is_on_arm is False


def test_a_confirmed_proposal_renames_and_keeps_the_images(dataset: LeRobotDataset, tmp_path: Path) -> None:
    output = tmp_path / "renamed"
    assert main([str(dataset.root), "--output", str(output), "--yes", "--jobs", "1"]) == 0
    made = LeRobotDataset.load(output)
    assert made.image_keys == ("camera2", "camera1")
    assert np.array_equal(next(made.images(1, "camera2")), next(dataset.images(1, "phone")))
    assert (tmp_path / "renamed.views.html").read_text().count("data:image/jpeg") == 2


def test_a_dataset_with_an_unknown_view_is_not_written(tmp_path: Path) -> None:
    folder = write_small_dataset(tmp_path / "data", [12], ["laptop", "webcam"])
    assert main([str(folder), "--output", str(tmp_path / "new"), "--yes"]) == 1
    assert not (tmp_path / "new").exists()
    views = ["--view", "laptop=top", "webcam=side"]
    assert main([str(folder), "--output", str(tmp_path / "new"), "--yes", "--jobs", "1", *views]) == 0
    assert LeRobotDataset.load(tmp_path / "new").image_keys == ("camera1", "camera3")


def test_a_model_is_asked_about_what_is_not_known(tmp_path: Path) -> None:
    folder = write_small_dataset(tmp_path / "data", [12], ["laptop"])
    command = [str(folder), "--output", str(tmp_path / "new"), "--yes", "--jobs", "1", "--ask", "--url"]
    with answer_server(lambda _: "The camera is at the side.") as url:
        assert main([*command, url]) == 0
    assert LeRobotDataset.load(tmp_path / "new").image_keys == ("camera3",)


@pytest.mark.parametrize(
    ("answer", "view"),
    [("Top.", "top"), ("Beside a desktop", ""), ("the **side** view", "side"), ("top, side", "")],
)
def test_an_answer_says_a_view_in_a_whole_word(tmp_path: Path, answer: str, view: str) -> None:
    class Model:
        def answer(self, questions: Sequence[Question]) -> list[str]:
            return [answer for _ in questions]

    dataset = LeRobotDataset.load(write_small_dataset(tmp_path / "bar", [5], cameras=["webcam"]))
    assert ask_view(Model(), dataset, "webcam") == view
