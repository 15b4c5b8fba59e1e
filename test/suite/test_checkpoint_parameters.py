# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters that a checkpoint brings along."""

from __future__ import annotations

from pathlib import Path

import pytest

from smolvla_ros.share import NODE_PARAMETERS
from smolvla_ros.suite.checkpoint_parameters import CheckpointParametersError, checkpoint_parameters
from smolvla_ros.tools.evaluate import parse


def test_they_are_the_defaults_of_an_evaluation(tmp_path: Path) -> None:
    (tmp_path / NODE_PARAMETERS).write_text("/**: {ros__parameters: {noise_scale: 0.5, threshold: 0.25}}")
    options = parse([str(tmp_path)])
    assert (options.noise_scale, options.threshold) == (0.5, 0.25)
    options = parse([str(tmp_path), "--threshold", "0.9"])
    assert (options.noise_scale, options.threshold) == (0.5, 0.9)
    options = parse(["expert"])
    assert (options.noise_scale, options.threshold) == (1.0, 0.7)


def test_the_shipped_checkpoint_has_some() -> None:
    assert checkpoint_parameters("so100_tabletop")["noise_scale"] == 0.0
    assert checkpoint_parameters("lerobot/smolvla_base") == {}


def test_a_folder_takes_precedence_over_a_shipped_checkpoint_as_its_weights_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "so100_tabletop"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    assert checkpoint_parameters("so100_tabletop") == {}
    (folder / NODE_PARAMETERS).write_text("/**: {ros__parameters: {noise_scale: 0.5}}")
    assert checkpoint_parameters("so100_tabletop") == {"noise_scale": 0.5}
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checkpoint_parameters("~/so100_tabletop") == {"noise_scale": 0.5}


@pytest.mark.parametrize("text", ["noise_scale: 0.5", "/**: {ros__parameters: 3}", "[", ""])
def test_a_file_of_another_kind_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / NODE_PARAMETERS).write_text(text)
    with pytest.raises(CheckpointParametersError, match="is no file of node parameters"):
        checkpoint_parameters(str(tmp_path))
