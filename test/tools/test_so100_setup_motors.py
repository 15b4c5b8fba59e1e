# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""so100_setup_motors gives new servos their ids and baud rate, one at a time, over the emulated bus."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.arm.motor_setup import set_id_and_baud_rate
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.line_faults import LineFaults
from smolvla_ros.simulation.servo import EmulatedServo
from smolvla_ros.tools import so100_setup_motors

from ..conftest import installed
from ..package_files import CALIBRATION, ROOT

FACTORY_ID = 1


@pytest.fixture
def bus() -> Iterator[EmulatedArm]:
    """Six new servos, all with the factory id; none is connected."""
    new = {name: replace(motor, id=FACTORY_ID) for name, motor in CALIBRATION.items()}
    with EmulatedArm(new) as arm:
        connect(arm)
        yield arm


def connect(arm: EmulatedArm, *names: str) -> None:
    for name, servo in arm.servos.items():
        servo.silent = name not in names


def connect_alone(arm: EmulatedArm, name: str, **values: int) -> EmulatedServo:
    """Connect one servo alone, with these registers in its EEPROM."""
    connect(arm, name)
    with closing(FeetechBus(arm.port)) as servo_bus, servo_bus.long_timeouts():
        servo_bus.open()
        servo_bus.write(FACTORY_ID, "Lock", 0)
        for register, value in values.items():
            servo_bus.write(FACTORY_ID, register, value)
    return arm.servos[name]


def set_up(arm: EmulatedArm, *arguments: str, typed: str = "\ny\n") -> tuple[int, str]:
    command = [installed("so100_setup_motors"), "--port", arm.port]
    done = subprocess.run(
        [*command, "--highest-id", "3", *arguments],
        input=typed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize("rate", [0, 1, 4], ids=["1 Mbit/s", "500 kbit/s", "115200"])
def test_a_servo_is_found_at_any_baud_rate_and_keeps_its_new_id_after_a_power_cycle(
    bus: EmulatedArm, rate: int
) -> None:
    servo = connect_alone(bus, "elbow_flex", Baud_Rate=rate)
    code, output = set_up(bus, "--joint", "elbow_flex")
    assert code == 0, output
    assert "elbow_flex is servo 3" in output
    bus.power_cycle()
    assert (servo.value("ID"), servo.value("Baud_Rate"), servo.value("Lock")) == (3, 0, 1)


def test_a_servo_whose_first_answer_is_lost_is_found_by_the_second_scan(bus: EmulatedArm) -> None:
    connect(bus, "gripper")
    bus.faults = silent_line = LineFaults(lost=1.0)

    def answer_after_the_first_request() -> None:
        while not silent_line.unanswered[FACTORY_ID]:
            time.sleep(0.001)
        bus.faults = LineFaults()

    thread = threading.Thread(target=answer_after_the_first_request, daemon=True)
    thread.start()
    code, output = set_up(bus, "--joint", "gripper")
    thread.join()
    assert code == 0 and "gripper is servo 6" in output, output


def test_late_answers_leave_no_servo_partly_configured(bus: EmulatedArm) -> None:
    servo = connect_alone(bus, "elbow_flex", Baud_Rate=0)
    bus.faults = LineFaults(late=1.0, late_s=0.1)
    set_id_and_baud_rate(bus.port, 1_000_000, FACTORY_ID, 3)
    assert (servo.value("ID"), servo.value("Lock")) == (3, 1)


def test_all_six_are_set_up_from_gripper_to_base(bus: EmulatedArm) -> None:
    command = [sys.executable, "-m", "smolvla_ros.tools.so100_setup_motors", "--port", bus.port]
    program = subprocess.Popen(
        [*command, "--highest-id", "6", "--yes"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert program.stdin is not None and program.stdout is not None
    order = list(reversed(bus.servos))
    for name in order:
        connect(bus, name)
        program.stdin.write("\n")
        program.stdin.flush()
        while not (line := program.stdout.readline()).startswith(f"{name} is servo"):
            assert line, f"ended before {name}"
    program.stdin.close()
    assert program.wait(20) == 0
    assert [bus.servos[name].value("ID") for name in order] == [6, 5, 4, 3, 2, 1]


def test_nothing_is_written_when_several_servos_answer(bus: EmulatedArm) -> None:
    connect(bus, "gripper")
    assert set_up(bus, "--joint", "elbow_flex")[0] == 0  # the gripper becomes servo 3
    connect(bus, "gripper", "wrist_roll")
    code, output = set_up(bus, "--joint", "wrist_roll")
    assert code == 1 and "servos 1, 3 answer; connect that of wrist_roll alone" in output
    assert [bus.servos[name].value("ID") for name in ("gripper", "wrist_roll")] == [3, 1]


@pytest.mark.parametrize("typed", ["\nn\n", "\n", ""], ids=["no", "end of input", "end of input at once"])
def test_without_confirmation_the_servo_is_not_changed(bus: EmulatedArm, typed: str) -> None:
    servo = connect_alone(bus, "gripper")
    assert set_up(bus, "--joint", "gripper", typed=typed)[0] == 1
    assert servo.value("ID") == FACTORY_ID


def test_an_empty_bus_and_an_unknown_joint_are_reported(bus: EmulatedArm) -> None:
    code, output = set_up(bus, "--joint", "gripper")
    assert code == 1 and "no servo answers" in output and "any baud rate" in output
    code, output = set_up(bus, "--joint", "elbow")
    assert code == 2 and "no joint 'elbow'" in output and "elbow_flex" in output


@pytest.mark.parametrize("highest_id", ["254", "300", "-1", "ten"])
def test_an_id_that_no_servo_can_have_is_an_error_of_the_command_line(capsys: Any, highest_id: str) -> None:
    with pytest.raises(SystemExit) as ended:
        so100_setup_motors.main(["--port", "absent", "--highest-id", highest_id])
    assert ended.value.code == 2
    assert f"expected an id, 0 .. 253, got '{highest_id}'" in capsys.readouterr().err
