# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Injected faults of the emulated arm: packets, servos, port and power supply."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from smolvla_ros.arm.feetech import FeetechBus, NoAnswerError, PortError
from smolvla_ros.arm.registers import ServoFault
from smolvla_ros.settings import SettingError
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.line_faults import LineFaults
from smolvla_ros.simulation.servo import EmulatedServo
from smolvla_ros.units import MotorCalibration

ROOT = Path(__file__).parents[2]
CALIBRATION = ROOT / "config/emulated_calibration.json"
TORQUE, GOAL, POSITION = 40, 42, 56
PACKET = bytes.fromhex("FF FF 01 04 00 18 05 DD")


@pytest.fixture
def servo(calibration: dict[str, MotorCalibration]) -> EmulatedServo:
    """shoulder_lift, holding at 2000."""
    servo = EmulatedServo(calibration["shoulder_lift"], 2000)
    servo.write(GOAL, (2000).to_bytes(2, "little"))
    servo.write(TORQUE, b"\x01")
    return servo


@pytest.mark.parametrize("fault", ["lost", "corrupt", "truncated", "late"])
def test_share_of_answers_fails_and_is_counted(fault: str) -> None:
    faults = LineFaults(**{fault: 0.3}, seed=5)
    answers = [faults.answer(PACKET) for _ in range(1000)]
    spoiled = [answer for answer in answers if answer != (0.0, PACKET)]
    assert 250 < len(spoiled) < 350
    assert faults.counts == {f"{fault} answer": len(spoiled)} and faults.unanswered == {1: len(spoiled)}
    assert answers == [LineFaults(**{fault: 0.3}, seed=5).answer(PACKET)] + answers[1:]


def test_invalid_share_is_rejected() -> None:
    with pytest.raises(SettingError, match="lost: 1.5"):
        LineFaults(lost=1.5)


def test_echo_comes_before_the_answer(calibration: dict[str, MotorCalibration]) -> None:
    with EmulatedArm(calibration, faults=LineFaults(echoed=1.0)) as arm:
        bus = FeetechBus(arm.port, timeout_s=2.0, gap_s=2.0)
        bus.open()
        assert bus.read(1, "Present_Position") == 2040
        assert (bus.counters[1].retries, arm.faults.counts["echo"]) == (0, 1)
        bus.close()


def test_bytes_arrive_at_the_baud_rate(calibration: dict[str, MotorCalibration]) -> None:
    with EmulatedArm(calibration, baudrate=9600) as arm:
        bus = FeetechBus(arm.port, timeout_s=2.0, gap_s=2.0)
        bus.open()
        started_s = time.monotonic()
        bus.sync_read(range(1, 7), ("Present_Position",))
        assert time.monotonic() - started_s > (14 + 6 * 8) * 10 / 9600
        bus.close()


def test_load_makes_the_shaft_give_way_and_draws_current(servo: EmulatedServo) -> None:
    servo.gravity = -0.32
    servo.advance(1.0)
    assert servo.position_ticks == 2000 - 10  # 0.32 of the drive is 10 ticks at a gain of 32
    assert int.from_bytes(servo.read(60, 2), "little") == pytest.approx(320, abs=20)
    assert int.from_bytes(servo.read(69, 2), "little") > 80
    warm = servo.temperature_c
    servo.advance(60.0)
    assert servo.temperature_c > warm


def test_without_torque_the_load_falls_to_the_stop(servo: EmulatedServo) -> None:
    servo.gravity, servo.stops = -0.3, (1200, 2900)
    servo.write(TORQUE, b"\x00")
    servo.advance(0.1)
    assert 1200 < servo.position_ticks < 2000
    servo.advance(3.0)
    assert servo.position_ticks == 1200


def test_overload_latches_until_torque_goes_off_and_on(servo: EmulatedServo) -> None:
    servo.stops = (1900, 2100)
    servo.write(GOAL, (2600).to_bytes(2, "little"))
    servo.advance(1.0)
    assert servo.error_bits == 0
    servo.advance(2.5)  # Protection_Time is 2 s
    assert servo.error_bits == ServoFault.OVERLOAD
    servo.stops = (0, 4095)
    servo.write(GOAL, (2000).to_bytes(2, "little"))
    servo.advance(10.0)
    assert servo.error_bits == ServoFault.OVERLOAD
    servo.write(TORQUE, b"\x00")
    servo.write(TORQUE, b"\x01")
    assert servo.error_bits == 0


def test_servo_that_is_too_hot_has_no_torque(servo: EmulatedServo) -> None:
    servo.gravity, servo.stops = -0.3, (1200, 2900)
    servo.temperature_c = 75.0
    servo.advance(0.01)
    servo.advance(3.0)
    assert servo.error_bits == ServoFault.OVERHEAT
    assert servo.position_ticks == 1200


def test_low_supply_is_reported_as_long_as_it_lasts(servo: EmulatedServo) -> None:
    servo.supply_v = 3.6
    servo.advance(0.01)
    assert servo.error_bits == ServoFault.VOLTAGE
    assert servo.read(62, 1)[0] in (35, 36, 37)
    servo.supply_v = 7.4
    servo.advance(0.01)
    assert servo.error_bits == 0


def test_brown_out_takes_the_torque_of_one_servo(emulated: EmulatedArm) -> None:
    for servo in emulated.servos.values():
        servo.write(TORQUE, b"\x01")
    emulated.power_cycle("wrist_flex")
    assert [n for n, s in emulated.servos.items() if not s.value("Torque_Enable")] == ["wrist_flex"]


def test_after_unplug_and_plug_in_the_servos_keep_their_torque(
    calibration: dict[str, MotorCalibration], tmp_path: Path
) -> None:
    link = tmp_path / "arm"
    with EmulatedArm(calibration, link=link) as arm:
        bus = FeetechBus(str(link), timeout_s=1.0)
        bus.open()
        bus.write(1, "Torque_Enable", 1)
        arm.unplug()
        assert not os.path.lexists(link)
        with pytest.raises(PortError, match="was lost"):
            bus.read(1, "Torque_Enable")
        with pytest.raises(PortError, match="is the arm plugged in"):
            bus.open()
        arm.plug_in()
        bus.open()
        assert bus.read(1, "Torque_Enable") == 1
        bus.close()
    assert not os.path.lexists(link)


def test_only_the_memory_file_is_left_after_exit(
    calibration: dict[str, MotorCalibration], tmp_path: Path
) -> None:
    def session(action: Any) -> Any:
        with EmulatedArm(calibration, memory=tmp_path / "eeprom.json") as arm:
            bus = FeetechBus(arm.port, timeout_s=1.0)
            bus.open()
            try:
                return action(bus)
            finally:
                bus.close()

    def change(bus: FeetechBus) -> None:
        bus.write(2, "Lock", 0)
        bus.write(2, "Homing_Offset", -300)
        bus.write(2, "Lock", 1)
        bus.write(2, "P_Coefficient", 99)  # under Lock
        bus.write(2, "Torque_Enable", 1)

    session(change)
    names = ("Homing_Offset", "P_Coefficient", "Torque_Enable")
    assert session(lambda bus: [bus.read(2, name) for name in names]) == [-300, 32, 0]


def test_silent_servo_does_not_answer(emulated: EmulatedArm) -> None:
    emulated.servos["gripper"].silent = True
    bus = FeetechBus(emulated.port, timeout_s=0.1, retries=0)
    bus.open()
    with pytest.raises(NoAnswerError):
        bus.ping(6)
    bus.close()


def test_line_faults_follow_the_command_line_options(tmp_path: Path) -> None:
    link = tmp_path / "arm"
    options = ["--calibration", str(CALIBRATION), "--link", str(link), "--lost", "1", "--baudrate", "1000000"]
    with subprocess.Popen(
        [sys.executable, "-m", "smolvla_ros.simulation.emulated_arm", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        bus = FeetechBus(str(link), timeout_s=0.1, retries=0)
        bus.open()
        with pytest.raises(NoAnswerError):
            bus.ping(1)
        bus.close()
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_program_rejects_an_invalid_share() -> None:
    options = ["--calibration", str(CALIBRATION), "--late", "2"]
    result = subprocess.run(
        [sys.executable, "-m", "smolvla_ros.simulation.emulated_arm", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert result.returncode == 2 and "late: 2.0 is outside 0.0 .. 1.0" in result.stderr
