# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Attempts in which a person took control: whole with LeRobot's feature `intervention`, or a turn an episode."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.dataset.bag_export import write_bag
from smolvla_ros.dataset.errors import DatasetError, EpisodeError
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.parallel_conversion import convert
from smolvla_ros.dataset.pieces import control_pieces
from smolvla_ros.tools import check_dataset, edit_dataset

from ..package_files import CALIBRATION_FILE
from ..sample_bags import CALIBRATION, LAG_NS, ROBOT, START_NS, Entry, conversion, record, run

TURNS = ((-0.02, "policy"), (0.4, "operator"), (0.7, "policy"))
FEATURE = {"dtype": "bool", "shape": [1], "names": None}  # LeRobot 0.6.1: rollout/context.py


def with_turns(turns: Iterable[tuple[float, str]] = TURNS) -> Callable[[BagWriter, list[Entry]], list[Entry]]:
    """Who commands from which second on."""

    def add(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        return entries + [
            (
                "/control_authority",
                bag.message("std_msgs/msg/String", data=who),
                START_NS + LAG_NS + round(second * 1e9),
            )
            for second, who in turns
        ]

    return add


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return record(tmp_path / "bag", edit=with_turns())


@pytest.fixture
def dataset(bag: Path, tmp_path: Path) -> LeRobotDataset:
    made: LeRobotDataset = run(conversion([bag], tmp_path / "data"))
    return made


def greys(dataset: LeRobotDataset, episode: int) -> list[int]:
    return [round(float(image.mean())) for image in dataset.images(episode, "camera1")]


def test_a_whole_attempt_says_for_each_row_whether_a_person_commanded(dataset: LeRobotDataset) -> None:
    assert dataset.features["intervention"] == FEATURE
    found = dataset.frames(0).intervention
    assert np.flatnonzero(found).tolist() == list(range(12, 21)) and len(found) == 31
    assert dataset.stats["intervention"]["max"] == [1.0]
    assert dataset.stats["intervention"]["mean"] == pytest.approx([9 / 31])


def test_corrections_and_policy_alone_are_an_episode_for_each_turn(bag: Path, tmp_path: Path) -> None:
    corrections = run(conversion([bag], tmp_path / "corrections", control="corrections"))
    policy = run(conversion([bag], tmp_path / "policy", control="policy"))
    whole = run(conversion([bag], tmp_path / "whole"))
    rows = whole.frames(0)
    for dataset, turns in ((corrections, [(12, 21)]), (policy, [(0, 12), (21, 31)])):
        assert len(dataset.episodes) == len(turns)
        for episode, (begin, end) in enumerate(turns):
            frames = dataset.frames(episode)
            assert np.array_equal(frames.state, rows.state[begin:end])
            assert np.array_equal(frames.action, rows.action[begin:end])
            assert frames.frame_index.tolist() == list(range(end - begin))
            away = np.subtract(greys(dataset, episode), range(begin, end))
            assert np.abs(away).max() <= 2  # codec
    assert corrections.frames(0).intervention.all()
    assert "intervention" not in policy.features


def test_without_a_correction_the_dataset_is_as_ever(tmp_path: Path) -> None:
    alone = record(tmp_path / "alone", edit=with_turns(TURNS[:1]))
    assert "intervention" not in run(conversion([alone], tmp_path / "alone_data")).features
    corrected = record(tmp_path / "corrected", edit=with_turns())
    plain = record(tmp_path / "plain")
    both = run(conversion([plain, corrected], tmp_path / "data"))
    assert [both.frames(episode).intervention.any() for episode in range(2)] == [False, True]
    with pytest.raises(DatasetError, match="feature intervention is None"):
        run(conversion([corrected], tmp_path / "alone_data"), append=True)


def test_nobody_commands_before_the_executor_starts(tmp_path: Path) -> None:
    late = record(tmp_path / "late", edit=with_turns([(0.5, "policy")]))
    dataset = run(conversion([late], tmp_path / "data", control="policy"))
    assert len(dataset.frames(0).state) == 16


def test_a_bag_that_does_not_tell_who_commanded_is_refused_where_it_matters(tmp_path: Path) -> None:
    plain = record(tmp_path / "plain")
    with pytest.raises(EpisodeError, match="has no control_authority; convert it as a whole"):
        run(conversion([plain], tmp_path / "data", control="corrections"))


def test_bags_without_a_correction_are_left_out_of_the_corrections(bag: Path, tmp_path: Path) -> None:
    alone = record(tmp_path / "alone", edit=with_turns(TURNS[:1]))
    said: list[str] = []
    work = conversion([alone, bag], tmp_path / "data", control="corrections")
    converted = convert(work, append=False, jobs=1, report=said.append)
    assert converted.damaged == 0 and converted.dataset is not None
    assert len(converted.dataset.episodes) == 1
    assert said == [f"left out: bag '{alone}' has nothing for --control corrections"]


def test_it_goes_back_to_a_bag_and_through_the_editor_and_is_no_fault(
    dataset: LeRobotDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(dataset, 0, tmp_path / "back", ROBOT, CALIBRATION, START_NS)
    again = run(conversion([tmp_path / "back"], tmp_path / "again"))
    assert np.array_equal(again.frames(0).intervention, dataset.frames(0).intervention)
    edits = [str(dataset.root), "--output", str(tmp_path / "edited"), "--trim", "0=0.5.."]
    assert edit_dataset.main(edits) == 0
    edited = LeRobotDataset.load(tmp_path / "edited").frames(0)
    assert np.array_equal(edited.intervention, dataset.frames(0).intervention[15:])
    capsys.readouterr()
    check_dataset.main([str(dataset.root), "--calibration", CALIBRATION_FILE])
    assert "intervention" not in capsys.readouterr().out


@given(st.lists(st.sampled_from(["none", "policy", "operator"]), min_size=1, max_size=30))
def test_turns_cover_the_rows_of_their_commander_and_no_other(authority: list[str]) -> None:
    for control, who in (("corrections", "operator"), ("policy", "policy")):
        pieces: Any = control_pieces(authority, control)  # type: ignore[arg-type]
        rows = [row for begin, end in pieces for row in range(begin, end)]
        assert rows == [row for row, found in enumerate(authority) if found == who]
        assert all(first[1] < second[0] for first, second in zip(pieces, pieces[1:], strict=False))
