# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""--rrd writes a recording that Rerun reads, with values, images and texts at their times; without Rerun it says so."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smolvla_ros.tools.view_dataset import main

from ..dataset.test_executor_record import executor_messages
from ..sample_bags import ROBOT, positions, record

MISSING = importlib.util.find_spec("rerun") is None
DURATION_S = 1.0


def rows(path: Path, entity: str) -> tuple[np.ndarray[Any, Any], list[Any]]:
    """Times in s, ascending, and the first component of an entity."""
    from rerun.chunk import RrdReader

    found: list[tuple[int, Any]] = []
    for chunk in RrdReader(path).stream().to_chunks():
        if chunk.entity_path.strip("/") == entity:
            batch = chunk.to_record_batch()
            [name] = [name for name in batch.schema.names if name.endswith((":scalars", ":blob", ":text"))]
            times = batch.column("time").cast("int64").to_pylist()
            found += zip(times, (value[0] for value in batch.column(name).to_pylist()))
    found.sort(key=lambda row: row[0])
    return np.array([time_ns for time_ns, _ in found]) / 1e9, [value for _, value in found]


@pytest.mark.skipif(MISSING, reason="needs rerun-sdk: pip install rerun-sdk")
def test_two_episodes_follow_each_other_in_a_recording(tmp_path: Path) -> None:
    for name in ("one", "two"):
        record(tmp_path / "bags" / name, cameras={"top": 30.0}, edit=executor_messages)
    path = tmp_path / "episodes.rrd"
    assert main([str(tmp_path / "bags"), "--rrd", str(path)]) == 0
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == [path.name]
    second_s = DURATION_S + 1 / ROBOT.rate_hz
    joint = ROBOT.joints[2]
    times_s, values = rows(path, f"state/{joint.name}")
    assert len(values) == 2 * 51 and times_s[51] == pytest.approx(second_s, abs=1e-3)
    expected = [np.degrees(positions(at_s)[2] - joint.middle_rad) for at_s in times_s[:51]]
    assert np.allclose(values[:51], expected, atol=1e-3) and np.allclose(values[51:], expected, atol=1e-3)
    times_s, images = rows(path, "cameras/top")
    assert len(images) == 2 * 31 and times_s[31 + 15] == pytest.approx(second_s + 0.5, abs=1e-3)
    picture = cv2.imdecode(np.frombuffer(bytes(images[31 + 15]), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.mean() == pytest.approx(15, abs=2)
    times_s, texts = rows(path, "executor")
    assert texts == ["armed", "holding: no chunk"] * 2
    assert times_s == pytest.approx([0.0, 0.5, second_s, second_s + 0.5], abs=1e-3)
    assert rows(path, "episode")[1] == ["one · Pick up the red cube", "two · Pick up the red cube"]
    assert any("black images" in text for text in rows(path, "findings")[1])


@pytest.mark.skipif(not MISSING, reason="rerun-sdk is installed")
def test_without_rerun_the_error_names_the_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = record(tmp_path / "bag", seconds=0.2, cameras={"top": 30.0})
    assert main([str(bag), "--rrd", str(tmp_path / "bag.rrd")]) == 1
    assert "pip install rerun-sdk" in capsys.readouterr().err and not (tmp_path / "bag.rrd").exists()


@pytest.mark.parametrize("option", ["--rrd", "--html"])
def test_a_folder_that_does_not_exist_is_an_error_before_the_data_are_read(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "no_bag"), option, str(tmp_path / "nowhere" / "file")])
    assert f"{option}: there is no folder '{tmp_path / 'nowhere'}'; make it" in capsys.readouterr().err
