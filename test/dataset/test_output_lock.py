# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two programs do not write the same dataset at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.output_lock import locked_folder
from smolvla_ros.tools.bag_to_lerobot import main as bag_to_lerobot

from ..package_files import CALIBRATION_FILE
from ..sample_bags import record


def test_a_locked_folder_is_refused_and_can_be_locked_again_later(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with locked_folder(folder):
        refused = pytest.raises(DatasetError, match="data' is being written by another program")
        with refused, locked_folder(folder):
            raise AssertionError
        assert folder.exists()
    assert not folder.exists()
    with locked_folder(folder):
        (folder / "episode").touch()
    assert folder.exists()


def test_a_second_conversion_into_the_same_folder_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, data = record(tmp_path / "bag", seconds=0.1), tmp_path / "data"
    with locked_folder(data):
        arguments = [str(bag), "--output", str(data), "--calibration", str(CALIBRATION_FILE), "--jobs", "1"]
        assert bag_to_lerobot(arguments) == 1
        assert "is being written by another program" in capsys.readouterr().err
        assert not list(data.iterdir())
