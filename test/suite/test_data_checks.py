# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes of several paths keep apart, whatever their names are; those that cannot be read are findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from smolvla_ros.dataset.errors import BagError
from smolvla_ros.suite.data_checks import checked_data
from smolvla_ros.tools.view_dataset import parser

from ..sample_bags import record


def test_bags_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("monday", "tuesday/morning"):
        record(tmp_path / folder / "episode", seconds=0.2, cameras={"top": 30.0})
    monkeypatch.chdir(tmp_path)
    bags = [Path("monday/episode"), Path("tuesday"), Path("monday/episode")]
    several = checked_data(parser().parse_args(["."]), bags)
    assert [episode.name for episode in several.episodes] == ["monday/episode", "tuesday: morning/episode"]
    assert {finding.episode for finding in several.report.findings} <= {
        "",
        "monday/episode",
        "tuesday: morning/episode",
    }
    together = checked_data(parser().parse_args(["."]), [Path(".")])
    assert [episode.name for episode in together.episodes] == ["monday/episode", "tuesday/morning/episode"]


def test_a_bag_that_cannot_be_read_is_a_finding_or_with_strict_an_error(tmp_path: Path) -> None:
    record(tmp_path / "good", seconds=0.2, cameras={"top": 30.0})
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "lost.mcap").write_bytes(b"noise")
    options = parser().parse_args(["."])
    [unreadable] = [
        each for each in checked_data(options, [tmp_path]).report.findings if each.check == "unreadable"
    ]
    assert unreadable.episode == "lost" and unreadable.severity == "error"
    with pytest.raises(BagError, match="lost"):
        checked_data(options, [tmp_path], strict=True)
