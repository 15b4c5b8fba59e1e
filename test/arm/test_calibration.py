# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration files in LeRobot's folders, and ranges recorded from positions."""

from __future__ import annotations

from pathlib import Path

import pytest

from smolvla_ros.arm.calibration import RangeRecorder, calibration_file, find_calibration_file
from smolvla_ros.units import CalibrationError, MotorCalibration


def test_lerobots_folder_is_found_by_its_environment_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HF_LEROBOT_CALIBRATION", "HF_LEROBOT_HOME", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    cache = Path.home() / ".cache/huggingface/lerobot/calibration"
    assert calibration_file("a") == cache / "robots/so_follower/a.json"
    assert calibration_file("a", "leader") == cache / "teleoperators/so_leader/a.json"
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path))
    old = tmp_path / "calibration/teleoperators/so100_leader/a.json"
    old.parent.mkdir(parents=True)
    old.touch()
    assert find_calibration_file("a", "leader") == old
    with pytest.raises(CalibrationError, match="so_follower,so101_follower,so100_follower"):
        find_calibration_file("a")


@pytest.mark.parametrize("middle", [0, 1, 2046, 2047, 2048, 4094, 4095])
@pytest.mark.parametrize("offset", [-2047, 0, 1500])
def test_turns_past_the_wrap_of_the_encoder_are_tracked(middle: int, offset: int) -> None:
    recorder = RangeRecorder({"joint": 1}, {"joint": offset}, ())
    reported = [(middle + k - offset) % 4096 for k in (0, 500, 1000, 500, -400, -1200)]
    recorder.set_middle({"joint": reported[0]})
    for tick in reported:
        recorder.observe({"joint": tick})
    motor = recorder.calibration()["joint"]
    shift = 1 if middle == 4095 else 0  # an offset of 2048 does not fit into the register
    assert motor == MotorCalibration(1, 0, middle - 2047 - shift, 847 + shift, 3047 + shift)


def test_a_pose_that_is_not_in_the_middle_of_the_range_raises() -> None:
    recorder = RangeRecorder({"joint": 1}, {"joint": 0}, ())
    for tick in (1000, 2000, 3000, 3200):
        recorder.set_middle({"joint": tick}) if tick == 1000 else recorder.observe({"joint": tick})
    with pytest.raises(CalibrationError, match=r"joint went 2047 \.\. 4247 ticks, more than half a turn"):
        recorder.calibration()
