# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration as a person does it: the program on a pipe, the emulated arm on a pseudo-terminal, moved by hand."""

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

from smolvla_ros.arm.calibration import RangeRecorder, calibration_file, find_calibration_file
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.servo_faults import LineFaults
from smolvla_ros.units import CalibrationError, MotorCalibration, load_calibration, save_calibration

ROOT = Path(__file__).parents[2]
CALIBRATION = load_calibration(ROOT / "config" / "emulated_calibration.json")
REGISTERS = ("Homing_Offset", "Min_Position_Limit", "Max_Position_Limit")
ID = "my_arm"


class Dialogue:
    """The program, spoken to line by line."""

    def __init__(self, port: str, folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "smolvla_ros.tools.so100_calibrate", "--port", port, *arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "HF_LEROBOT_CALIBRATION": str(folder)},
        )
        self.output = ""

    def hear(self, text: str) -> None:
        """Wait until the program has said it (again)."""
        assert self._process.stdout is not None
        start, deadline_s = len(self.output), time.monotonic() + 20.0
        while text not in self.output[start:]:
            ready, _, _ = select.select(
                [self._process.stdout], [], [], max(deadline_s - time.monotonic(), 0.0)
            )
            said = os.read(self._process.stdout.fileno(), 4096).decode() if ready else ""
            assert said, f"never said {text!r}:\n{self.output}"
            self.output += said

    def say(self, line: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def end(self) -> int:
        """Nothing more is said to it: what it says until its end, and its exit code."""
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


class Watched(LineFaults):
    """A faultless line that counts what the servos answer."""

    answers = 0

    def answer(self, packet: bytes) -> tuple[float, bytes]:
        self.answers += 1
        return 0.0, packet


def turn(arm: EmulatedArm, name: str, to_ticks: float) -> None:
    """Move a joint by hand, no faster than the program looks."""
    line, servo = arm.faults, arm.servos[name]
    assert isinstance(line, Watched)
    while abs(step := to_ticks - servo.position_ticks) > 0.5:
        servo.position_ticks += max(-400.0, min(400.0, step))
        seen, deadline_s = line.answers + 2 * len(arm.servos), time.monotonic() + 10.0
        while line.answers < seen:
            assert time.monotonic() < deadline_s, "the program does not look"
            time.sleep(0.002)


def file_of(folder: Path) -> Path:
    return folder / "robots" / "so_follower" / f"{ID}.json"


def test_a_guided_calibration_ends_in_lerobots_file_and_in_the_servos(
    arm: EmulatedArm, tmp_path: Path
) -> None:
    before, arm.faults = eeprom(arm), Watched()
    for servo in arm.servos.values():
        servo.position_ticks += 40  # the middle pose is set by hand, and never quite that of the last time
    shifted = {name: servo.position_ticks for name, servo in arm.servos.items()}
    dialogue = Dialogue(arm.port, tmp_path, "--id", ID)
    dialogue.hear("Torque comes off")
    dialogue.say()
    dialogue.hear("middle pose")
    assert all(servo.value("Torque_Enable") == 0 for servo in arm.servos.values())
    dialogue.say()
    dialogue.hear("stop to stop")
    for name in arm.servos:
        if name not in ("wrist_roll", "gripper"):
            turn(arm, name, CALIBRATION[name].range_min)
            turn(arm, name, CALIBRATION[name].range_max)
    dialogue.say()
    dialogue.hear("Not far enough yet: gripper 0.00 of about 2.20 rad")
    turn(arm, "gripper", CALIBRATION["gripper"].range_min)
    turn(arm, "gripper", CALIBRATION["gripper"].range_max)
    assert eeprom(arm) == before
    dialogue.say()
    dialogue.hear("[y/N]")
    assert eeprom(arm) == before and not file_of(tmp_path).exists()
    dialogue.say("y")
    assert dialogue.end() == 0, dialogue.output
    written = load_calibration(file_of(tmp_path), CALIBRATION)
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


@pytest.mark.parametrize("answer", ["n", "", None], ids=["no", "enter", "hung up"])
def test_without_a_yes_nothing_is_written(arm: EmulatedArm, tmp_path: Path, answer: str | None) -> None:
    other = {name: replace(motor, range_min=motor.range_min + 5) for name, motor in CALIBRATION.items()}
    save_calibration(tmp_path / "other.json", other)
    before = eeprom(arm)
    dialogue = Dialogue(arm.port, tmp_path, "--file", str(tmp_path / "other.json"), "--to-servos")
    dialogue.hear("[y/N]")
    if answer is not None:
        dialogue.say(answer)
    assert dialogue.end() == 1
    assert eeprom(arm) == before


def test_a_file_goes_into_the_servos_and_comes_out_again_as_lerobot_writes_it(
    arm: EmulatedArm, tmp_path: Path
) -> None:
    other = dict(CALIBRATION)
    other["elbow_flex"] = replace(other["elbow_flex"], homing_offset=-1200, range_max=3000)
    path = file_of(tmp_path)
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


def test_verify_agrees_with_the_arms_own_file(arm: EmulatedArm, tmp_path: Path) -> None:
    dialogue = Dialogue(arm.port, tmp_path, "--file", "config/emulated_calibration.json", "--verify")
    assert dialogue.end() == 0, dialogue.output
    assert "servos, pose and so100.urdf agree" in dialogue.output


def test_verify_says_what_disagrees_and_writes_nothing(arm: EmulatedArm, tmp_path: Path) -> None:
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


def test_a_servo_that_is_missing_and_a_file_that_is_not_there_are_named(
    arm: EmulatedArm, tmp_path: Path
) -> None:
    dialogue = Dialogue(arm.port, tmp_path, "--id", "stranger", "--verify")
    assert dialogue.end() == 1 and "no calibration of 'stranger'" in dialogue.output
    arm.servos["wrist_flex"].silent = True
    dialogue = Dialogue(arm.port, tmp_path, "--id", ID)
    assert dialogue.end() == 1 and "wrist_flex: no answer from servo 4" in dialogue.output


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
def test_turns_past_the_wrap_of_the_encoder_are_followed(middle: int, offset: int) -> None:
    recorder = RangeRecorder({"joint": 1}, {"joint": offset}, ())
    reported = [(middle + k - offset) % 4096 for k in (0, 500, 1000, 500, -400, -1200)]
    recorder.middle({"joint": reported[0]})
    for tick in reported:
        recorder.observe({"joint": tick})
    motor = recorder.calibration()["joint"]
    shift = 1 if middle == 4095 else 0  # an offset of 2048 does not fit into the register
    assert motor == MotorCalibration(1, 0, middle - 2047 - shift, 847 + shift, 3047 + shift)


def test_a_middle_that_is_none_is_said() -> None:
    recorder = RangeRecorder({"joint": 1}, {"joint": 0}, ())
    for tick in (1000, 2000, 3000, 3200):
        recorder.middle({"joint": tick}) if tick == 1000 else recorder.observe({"joint": tick})
    with pytest.raises(CalibrationError, match=r"joint went 2047 \.\. 4247 ticks, more than half a turn"):
        recorder.calibration()
