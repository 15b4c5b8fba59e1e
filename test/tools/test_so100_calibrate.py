# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""so100_calibrate with scripted answers on a pipe, and an emulated arm whose joints the test moves."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.line_faults import LineFaults
from smolvla_ros.units import load_calibration, save_calibration

from ..package_files import CALIBRATION, CALIBRATION_FILE, ROOT

REGISTERS = ("Homing_Offset", "Min_Position_Limit", "Max_Position_Limit")
ID = "my_arm"


class Dialogue:
    """The running program, its questions and answers."""

    def __init__(self, port: str, folder: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "smolvla_ros.tools.so100_calibrate", "--port", port, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=ROOT, env={**os.environ, "HF_LEROBOT_CALIBRATION": str(folder)},
        )  # fmt: skip
        self.output = ""

    def wait_for(self, text: str) -> None:
        """Wait until the program prints this text after this call."""
        assert self._process.stdout is not None
        start, deadline_s = len(self.output), time.monotonic() + 20.0
        while text not in self.output[start:]:
            timeout_s = max(deadline_s - time.monotonic(), 0.0)
            ready = select.select([self._process.stdout], [], [], timeout_s)[0]
            received = os.read(self._process.stdout.fileno(), 4096).decode() if ready else ""
            assert received, f"did not print {text!r}:\n{self.output}"
            self.output += received

    def answer(self, line: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def end(self) -> int:
        """Close its input and return its exit code; the rest of its output is added to `output`."""
        output, _ = self._process.communicate(timeout=20.0)
        self.output += output.decode()
        return self._process.returncode


@pytest.fixture
def arm() -> Iterator[EmulatedArm]:
    with EmulatedArm(CALIBRATION) as arm:
        yield arm


def eeprom(arm: EmulatedArm) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(servo.value(register) for register in REGISTERS) for name, servo in arm.servos.items()
    }


class CountingLine(LineFaults):
    """A line without faults that counts the answers of the servos."""

    answers = 0

    def answer(self, packet: bytes) -> tuple[float, bytes]:
        self.answers += 1
        return 0.0, packet


def move_joint(arm: EmulatedArm, name: str, to_ticks: float) -> None:
    """Move a joint, no faster than the program reads positions."""
    line, servo = arm.faults, arm.servos[name]
    assert isinstance(line, CountingLine)
    while abs(step := to_ticks - servo.position_ticks) > 0.5:
        servo.position_ticks += max(-400.0, min(400.0, step))
        target, deadline_s = line.answers + 2 * len(arm.servos), time.monotonic() + 10.0
        while line.answers < target:
            assert time.monotonic() < deadline_s, "the program reads no positions"
            time.sleep(0.002)


def calibration_path(folder: Path) -> Path:
    return folder / "robots" / "so_follower" / f"{ID}.json"


def test_a_guided_calibration_is_written_into_lerobots_file_and_the_servos(
    arm: EmulatedArm, tmp_path: Path
) -> None:
    before, arm.faults = eeprom(arm), CountingLine()
    for servo in arm.servos.values():
        servo.position_ticks += 40  # the person sets the middle pose a little differently each time
    shifted = {name: servo.position_ticks for name, servo in arm.servos.items()}
    dialogue = Dialogue(arm.port, tmp_path, "--id", ID)
    dialogue.wait_for("Torque comes off")
    dialogue.answer()
    dialogue.wait_for("middle pose")
    assert all(servo.value("Torque_Enable") == 0 for servo in arm.servos.values())
    dialogue.answer()
    dialogue.wait_for("stop to stop")
    for name in arm.servos:
        if name not in ("wrist_roll", "gripper"):
            move_joint(arm, name, CALIBRATION[name].range_min)
            move_joint(arm, name, CALIBRATION[name].range_max)
    dialogue.answer()
    dialogue.wait_for("Not far enough yet: gripper 0.00 of about 2.20 rad")
    move_joint(arm, "gripper", CALIBRATION["gripper"].range_min)
    move_joint(arm, "gripper", CALIBRATION["gripper"].range_max)
    assert eeprom(arm) == before
    dialogue.answer()
    dialogue.wait_for("[y/N]")
    assert eeprom(arm) == before and not calibration_path(tmp_path).exists()
    dialogue.answer("y")
    assert dialogue.end() == 0, dialogue.output
    written = load_calibration(calibration_path(tmp_path), CALIBRATION)
    for name, motor in written.items():
        old, moved = CALIBRATION[name], round(shifted[name]) - 2047
        assert motor.homing_offset == old.homing_offset + moved
        if name == "wrist_roll":
            assert (motor.range_min, motor.range_max) == (0, 4095)
        else:
            assert motor.range_min == pytest.approx(old.range_min - moved, abs=1)
            assert motor.range_max == pytest.approx(old.range_max - moved, abs=1)
    assert eeprom(arm) == {name: (m.homing_offset, m.range_min, m.range_max) for name, m in written.items()}
    arm.power_cycle()
    assert eeprom(arm) == {name: (m.homing_offset, m.range_min, m.range_max) for name, m in written.items()}


@pytest.mark.parametrize("answer", ["n", "", None], ids=["no", "enter", "end of input"])
def test_without_confirmation_nothing_is_written(
    arm: EmulatedArm, tmp_path: Path, answer: str | None
) -> None:
    other = {name: replace(motor, range_min=motor.range_min + 5) for name, motor in CALIBRATION.items()}
    save_calibration(tmp_path / "other.json", other)
    before = eeprom(arm)
    dialogue = Dialogue(arm.port, tmp_path, "--file", str(tmp_path / "other.json"), "--to-servos")
    dialogue.wait_for("[y/N]")
    if answer is not None:
        dialogue.answer(answer)
    assert dialogue.end() == 1
    assert eeprom(arm) == before


def test_a_file_copied_to_the_servos_and_back_is_the_same_as_lerobot_writes_it(
    arm: EmulatedArm, tmp_path: Path
) -> None:
    other = dict(CALIBRATION)
    other["elbow_flex"] = replace(other["elbow_flex"], homing_offset=-1200, range_max=3000)
    path = calibration_path(tmp_path)
    path.parent.mkdir(parents=True)
    save_calibration(path, other)
    into = Dialogue(arm.port, tmp_path, "--id", ID, "--to-servos", "--yes")
    assert into.end() == 0, into.output
    changes = [line for line in into.output.splitlines() if "->" in line]
    offset, end = CALIBRATION["elbow_flex"].homing_offset, CALIBRATION["elbow_flex"].range_max
    assert changes == [  # equal registers are not written
        f"elbow_flex: Homing_Offset {offset} -> -1200",
        f"elbow_flex: Max_Position_Limit {end} -> 3000",
    ]
    text = path.read_text()
    path.unlink()
    out = Dialogue(arm.port, tmp_path, "--id", ID, "--from-servos")
    assert out.end() == 0, out.output
    assert path.read_text() == text
    assert json.dumps({name: asdict(motor) for name, motor in other.items()}, indent=4) == text.rstrip()


def test_verify_finds_no_disagreement_with_the_arms_own_file(arm: EmulatedArm, tmp_path: Path) -> None:
    dialogue = Dialogue(arm.port, tmp_path, "--file", CALIBRATION_FILE, "--verify")
    assert dialogue.end() == 0, dialogue.output
    assert "servos, pose and so100.urdf agree" in dialogue.output


def test_verify_prints_disagreements_and_writes_nothing(arm: EmulatedArm, tmp_path: Path) -> None:
    file = dict(CALIBRATION)
    file["shoulder_pan"] = replace(file["shoulder_pan"], homing_offset=100)
    file["wrist_flex"] = replace(file["wrist_flex"], drive_mode=1)
    file["shoulder_lift"] = replace(file["shoulder_lift"], range_min=1700, range_max=2300)
    arm.servos["elbow_flex"].position_ticks = CALIBRATION["elbow_flex"].range_max + 300
    old_name = tmp_path / "robots" / "so101_follower" / f"{ID}.json"
    old_name.parent.mkdir(parents=True)
    save_calibration(old_name, file)
    before = eeprom(arm)
    dialogue = Dialogue(arm.port, tmp_path, "--id", ID, "--verify")
    assert dialogue.end() == 1
    for words in (
        "shoulder_pan: homing_offset is 100 in the file, -83 in the servo",
        "wrist_flex: drive_mode 1",
        "shoulder_lift: range_min is 1700 in the file",
        "shoulder_lift: calibrated range is",
        "elbow_flex: stands at",
        "the URDF's limits are",
    ):
        assert words in dialogue.output, dialogue.output
    assert "wrist_roll:" not in dialogue.output and eeprom(arm) == before


def test_a_missing_servo_and_a_missing_file_are_reported(arm: EmulatedArm, tmp_path: Path) -> None:
    dialogue = Dialogue(arm.port, tmp_path, "--id", "stranger", "--verify")
    assert dialogue.end() == 2 and "no calibration of 'stranger'" in dialogue.output
    arm.servos["wrist_flex"].silent = True
    dialogue = Dialogue(arm.port, tmp_path, "--id", ID)
    assert dialogue.end() == 1 and "wrist_flex: no answer from servo 4" in dialogue.output
