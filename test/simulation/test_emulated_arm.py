# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The emulated arm as Feetech's own SDK sees it over the pty, and as a process of its own."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scservo_sdk import COMM_SUCCESS, GroupSyncRead, PacketHandler, PortHandler

from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.servo import MAX_SPEED_TICKS_S, EmulatedServo
from smolvla_ros.units import MotorCalibration

ROOT = Path(__file__).parents[2]
CALIBRATION = ROOT / "config/emulated_calibration.json"
POSITION_LIMIT, TORQUE, GOAL, GOAL_VELOCITY, LOCK, POSITION, VELOCITY = 9, 40, 42, 46, 55, 56, 58
RESPONSE_LEVEL, P_COEFFICIENT, HOMING_OFFSET, ACCELERATION = 8, 21, 31, 41


class Sdk:
    """Feetech's SDK on one servo of the emulated arm."""

    def __init__(self, port: str) -> None:
        self.handler = PortHandler(port)
        assert self.handler.setBaudRate(1_000_000)
        # the SDK's own 34 ms are too short for a computer that runs other tests beside this one
        self.handler.setPacketTimeout = lambda _: self.handler.setPacketTimeoutMillis(300)
        self.packets = PacketHandler(0)

    def get(self, servo_id: int, address: int, length: int = 1) -> int:
        read = self.packets.read1ByteTxRx if length == 1 else self.packets.read2ByteTxRx
        value, result, _ = read(self.handler, servo_id, address)
        assert result == COMM_SUCCESS
        return int(value)

    def put(self, servo_id: int, address: int, value: int, length: int = 1) -> None:
        write = self.packets.write1ByteTxRx if length == 1 else self.packets.write2ByteTxRx
        result, _ = write(self.handler, servo_id, address, value)
        assert result == COMM_SUCCESS


@pytest.fixture
def sdk(emulated: EmulatedArm) -> Iterator[Sdk]:
    sdk = Sdk(emulated.port)
    yield sdk
    sdk.handler.closePort()


def test_all_six_answer_a_ping_as_sts3215(sdk: Sdk) -> None:
    for servo_id in range(1, 7):
        model, result, error = sdk.packets.ping(sdk.handler, servo_id)
        assert (model, result, error) == (777, COMM_SUCCESS, 0)


def test_nobody_answers_to_an_id_that_is_not_there(sdk: Sdk) -> None:
    _, result, _ = sdk.packets.ping(sdk.handler, 7)
    assert result != COMM_SUCCESS


def test_eeprom_holds_the_calibration(sdk: Sdk, calibration: dict[str, MotorCalibration]) -> None:
    for motor in calibration.values():
        assert sdk.get(motor.id, POSITION_LIMIT, 2) == motor.range_min
        assert sdk.get(motor.id, POSITION_LIMIT + 2, 2) == motor.range_max
        offset = sdk.get(motor.id, HOMING_OFFSET, 2)
        assert (-(offset & 2047) if offset & 2048 else offset) == motor.homing_offset


def test_sync_read_brings_the_start_pose(calibration: dict[str, MotorCalibration]) -> None:
    start = {name: motor.range_min + 100 + motor.id for name, motor in calibration.items()}
    with EmulatedArm(calibration, start_ticks=start) as arm:
        other = Sdk(arm.port)
        group = GroupSyncRead(other.handler, other.packets, POSITION, 15)
        for motor in calibration.values():
            group.addParam(motor.id)
        assert group.txRxPacket() == COMM_SUCCESS
        assert {n: group.getData(m.id, POSITION, 2) for n, m in calibration.items()} == start
        other.handler.closePort()


def test_start_pose_of_an_unknown_joint_is_refused(calibration: dict[str, MotorCalibration]) -> None:
    with pytest.raises(ValueError, match="no joint elbow; there are shoulder_pan"):
        EmulatedArm(calibration, start_ticks={"elbow": 2000})


def test_goal_is_reached_without_overshoot_and_within_the_speed_limit(sdk: Sdk, clock: Any) -> None:
    sdk.put(1, GOAL, 3000, 2)
    sdk.put(1, TORQUE, 1)
    positions = []
    for _ in range(100):
        clock.pass_s(0.01)
        positions.append(sdk.get(1, POSITION, 2))
    steps = [after - before for before, after in zip(positions, positions[1:], strict=False)]
    assert positions[-1] == 3000
    assert max(positions) == 3000
    assert min(steps) >= 0
    assert 0.9 < max(steps) / (MAX_SPEED_TICKS_S * 0.01) < 1.1
    assert sdk.get(1, POSITION + 10) == 0  # no longer moving


def test_goal_velocity_and_acceleration_slow_it_down(sdk: Sdk, clock: Any) -> None:
    sdk.put(1, GOAL, 3000, 2)
    sdk.put(1, GOAL_VELOCITY, 400, 2)
    sdk.put(1, ACCELERATION, 8)  # 800 ticks/s^2
    sdk.put(1, TORQUE, 1)
    clock.pass_s(0.25)
    assert sdk.get(1, VELOCITY, 2) == pytest.approx(200, abs=5)
    clock.pass_s(1.0)
    assert sdk.get(1, VELOCITY, 2) == 400
    assert sdk.get(1, POSITION + 10) == 1


def test_goal_outside_the_position_limits_stops_at_the_limit(
    sdk: Sdk, clock: Any, calibration: dict[str, MotorCalibration]
) -> None:
    sdk.put(1, GOAL, 4095, 2)
    sdk.put(1, TORQUE, 1)
    clock.pass_s(3.0)
    assert sdk.get(1, POSITION, 2) == calibration["shoulder_pan"].range_max


def test_without_torque_it_stays_where_it_is(sdk: Sdk, clock: Any) -> None:
    before = sdk.get(1, POSITION, 2)
    sdk.put(1, GOAL, 3000, 2)
    clock.pass_s(2.0)
    assert sdk.get(1, POSITION, 2) == before
    sdk.put(1, TORQUE, 1)
    clock.pass_s(0.2)
    sdk.put(1, TORQUE, 0)
    clock.pass_s(0.2)
    stopped = sdk.get(1, POSITION, 2)
    clock.pass_s(2.0)
    assert before < sdk.get(1, POSITION, 2) == stopped < 3000


def test_eeprom_written_under_lock_is_gone_with_the_power(emulated: EmulatedArm, sdk: Sdk) -> None:
    sdk.put(1, P_COEFFICIENT, 10)
    assert sdk.get(1, P_COEFFICIENT) == 10
    emulated.power_cycle()
    assert sdk.get(1, P_COEFFICIENT) == 32
    sdk.put(1, LOCK, 0)
    sdk.put(1, P_COEFFICIENT, 10)
    emulated.power_cycle()
    assert sdk.get(1, P_COEFFICIENT) == 10
    assert sdk.get(1, LOCK) == 1


def test_torque_and_goal_are_gone_with_the_power(emulated: EmulatedArm, sdk: Sdk) -> None:
    sdk.put(1, GOAL, 3000, 2)
    sdk.put(1, TORQUE, 1)
    emulated.power_cycle()
    assert sdk.get(1, TORQUE) == 0
    assert sdk.get(1, GOAL, 2) == 0


def test_new_homing_offset_renames_the_position_of_a_shaft_that_stands_still(sdk: Sdk) -> None:
    before, offset = sdk.get(2, POSITION, 2), sdk.get(2, HOMING_OFFSET, 2)
    sdk.put(2, HOMING_OFFSET, offset + 300, 2)
    assert sdk.get(2, POSITION, 2) == before - 300


def test_read_only_registers_do_not_change(sdk: Sdk) -> None:
    sdk.put(1, 3, 0, 2)
    sdk.put(1, POSITION, 5, 2)
    assert sdk.get(1, 3, 2) == 777
    assert sdk.get(1, POSITION, 2) != 5


def test_request_with_a_wrong_checksum_is_ignored(sdk: Sdk) -> None:
    sdk.handler.writePort(bytes.fromhex("FF FF 01 04 03 28 01 CF"))  # torque on, one off
    time.sleep(0.02)
    assert sdk.handler.getBytesAvailable() == 0
    assert sdk.get(1, TORQUE) == 0


def test_broadcast_is_obeyed_by_all_and_answered_by_none(sdk: Sdk) -> None:
    sdk.handler.writePort(bytes.fromhex("FF FF FE 04 03 28 01 D1"))
    time.sleep(0.02)
    assert sdk.handler.getBytesAvailable() == 0
    assert [sdk.get(servo_id, TORQUE) for servo_id in range(1, 7)] == [1] * 6


def test_response_status_level_zero_silences_writes_but_not_reads(sdk: Sdk) -> None:
    sdk.packets.write1ByteTxOnly(sdk.handler, 1, RESPONSE_LEVEL, 0)
    sdk.packets.write1ByteTxOnly(sdk.handler, 1, P_COEFFICIENT, 7)
    time.sleep(0.02)
    assert sdk.handler.getBytesAvailable() == 0
    assert sdk.get(1, P_COEFFICIENT) == 7


def test_reg_write_waits_for_action(sdk: Sdk) -> None:
    result, _ = sdk.packets.regWriteTxRx(sdk.handler, 1, GOAL, 2, [0xE8, 0x03])
    assert result == COMM_SUCCESS
    assert sdk.get(1, GOAL, 2) == 0
    assert sdk.packets.action(sdk.handler, 1) == COMM_SUCCESS
    assert sdk.get(1, GOAL, 2) == 1000


def test_fault_bits_come_with_every_answer(emulated: EmulatedArm, sdk: Sdk) -> None:
    emulated.servos["shoulder_pan"].fault_bits = 32
    _, _, error = sdk.packets.read1ByteTxRx(sdk.handler, 1, TORQUE)
    assert error == 32
    assert sdk.get(1, 65) == 32


def test_same_seed_gives_the_same_telemetry(calibration: dict[str, MotorCalibration]) -> None:
    def telemetry(seed: int) -> list[bytes]:
        servo = EmulatedServo(calibration["elbow_flex"], 1500, seed)
        servo.write(TORQUE, b"\x01")
        return [servo.read(POSITION, 15) for _ in range(50) if servo.advance(0.01) is None]

    assert telemetry(1) == telemetry(1)
    assert telemetry(1) != telemetry(2)


def test_hard_work_draws_current_sags_the_supply_and_warms(calibration: dict[str, MotorCalibration]) -> None:
    servo = EmulatedServo(calibration["shoulder_lift"], 1000)
    servo.write(GOAL, b"\x80\x0c\x00\x00\x00\x00")
    servo.write(TORQUE, b"\x01")
    servo.advance(0.05)
    load, voltage, current = (servo.read(at, n) for at, n in ((60, 2), (62, 1), (69, 2)))
    assert 300 < int.from_bytes(load, "little") < 1000
    assert voltage[0] < 74
    assert 50 < int.from_bytes(current, "little") < 308
    servo.temperature_c = 28.0
    servo.advance(0.01)
    assert servo.temperature_c > 28.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_process_creates_its_link_and_exits_cleanly(tmp_path: Path, number: int) -> None:
    link = tmp_path / "so100"
    link.symlink_to("/dev/pts/left-behind-by-a-crash")
    with _process("--calibration", str(CALIBRATION), "--link", str(link)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"emulated arm on {link}\n"
        sdk = Sdk(str(link))
        assert sdk.get(6, 5) == 6
        sdk.handler.closePort()
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
    assert not os.path.lexists(link)


def test_process_exits_cleanly_whichever_thread_gets_the_signal(tmp_path: Path) -> None:
    link = tmp_path / "so100"
    with _process("--calibration", str(CALIBRATION), "--link", str(link)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        threads = sorted(int(entry.name) for entry in Path(f"/proc/{process.pid}/task").iterdir())
        assert len(threads) > 1
        for thread in reversed(threads):
            ctypes.CDLL(None).tgkill(process.pid, thread, signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert not os.path.lexists(link)


def test_process_does_not_replace_a_file(tmp_path: Path) -> None:
    link = tmp_path / "precious"
    link.write_text("data")
    with _process("--calibration", str(CALIBRATION), "--link", str(link)) as process:
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 2
    assert "precious exists and is not a symbolic link" in errors
    assert link.read_text() == "data"


def test_process_without_a_usable_calibration_says_why_and_leaves_no_stale_link(tmp_path: Path) -> None:
    link = tmp_path / "so100"
    link.symlink_to("/dev/null")  # of a killed arm, and another program's by now
    with _process("--calibration", str(tmp_path / "absent.json"), "--link", str(link)) as process:
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 2
    assert "absent.json' cannot be read" in errors
    assert not os.path.lexists(link)


def _process(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "smolvla_ros.simulation.emulated_arm", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
