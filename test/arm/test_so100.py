# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arm driver on emulated servos over a pty: torque, goals, readings, faults."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from smolvla_ros.arm.feetech import BusError, FeetechBus, PortError
from smolvla_ros.arm.registers import ServoFault, fault_remedies
from smolvla_ros.arm.servo_group import ArmError
from smolvla_ros.arm.so100 import So100Arm
from smolvla_ros.arm.so100_config import So100Config
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.line_faults import LineFaults
from smolvla_ros.units import RAD_PER_TICK, JointUnits, MotorCalibration


def test_torque_comes_on_without_any_motion(emulated: EmulatedArm, arm: So100Arm, clock: Any) -> None:
    arm.connect()
    before = arm.read().position_ticks
    assert all(servo.value("Goal_Position") == 0 for servo in emulated.servos.values())  # would jump
    arm.enable_torque()
    clock.pass_s(1.0)
    np.testing.assert_array_equal(arm.read().position_ticks, before)
    assert arm.torque_enabled


def test_torque_comes_on_when_a_bus_that_was_silent_for_seconds_answers_again(
    emulated: EmulatedArm, units: tuple[JointUnits, ...]
) -> None:
    is_silent = threading.Event()

    def be_silent() -> None:
        with emulated.held_still():
            is_silent.set()
            time.sleep(1.5)

    with closing(So100Arm(FeetechBus(emulated.port), units)) as arm, ThreadPoolExecutor(1) as pool:
        arm.connect()
        pool.submit(be_silent)
        is_silent.wait()
        arm.enable_torque()
        assert arm.read().torque.all()


def test_goal_is_reached_in_radians(armed: So100Arm, clock: Any) -> None:
    goal = np.array([0.5, 1.2, -0.4, 0.3, -1.0, 1.4])
    assert not armed.write(goal).any()
    armed.read()  # an answer proves that the broadcast before it has arrived
    clock.pass_s(2.0)
    reading = armed.read()
    assert reading.valid.all()
    np.testing.assert_allclose(reading.positions_rad, goal, atol=RAD_PER_TICK / 2)
    assert not reading.moving.any()


def test_velocity_and_load_point_along_the_urdf_axis(armed: So100Arm, clock: Any) -> None:
    armed.write(np.array([0.0, 1.8, 1.0, 0.0, 0.0, 0.9]))  # elbow: direction -1, ticks fall
    armed.read()
    clock.pass_s(0.05)
    elbow = 2
    reading = armed.read()
    assert reading.moving[elbow]
    assert 0.5 < reading.velocities_rad_s[elbow] < 4.1
    assert 0.1 < reading.load[elbow] <= 1.0
    assert 0.1 < reading.current_a[elbow] < 2.1
    assert 6.5 < reading.voltage_v[elbow] < 7.5
    assert 20 < reading.temperature_c[elbow] < 40


@pytest.mark.parametrize("far_rad", [9.0, 1e308])
def test_goal_outside_the_calibrated_range_is_clamped_and_told(
    emulated: EmulatedArm, armed: So100Arm, calibration: dict[str, MotorCalibration], far_rad: float
) -> None:
    clamped = armed.write(np.array([far_rad, 1.8, far_rad, 0.0, 0.0, 0.9]))
    armed.read()
    assert clamped.tolist() == [True, False, True, False, False, False]
    assert emulated.servos["shoulder_pan"].value("Goal_Position") == calibration["shoulder_pan"].range_max
    assert emulated.servos["elbow_flex"].value("Goal_Position") == calibration["elbow_flex"].range_min


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_goal_that_is_not_finite_is_refused_and_nothing_is_sent(
    armed: So100Arm, requests: list[Any], bad: float
) -> None:
    goal = np.zeros(6)
    goal[3] = bad
    with pytest.raises(ArmError, match="goal of wrist_flex is"):
        armed.write(goal)
    armed.read()
    assert all(request.code == 0x82 for request in requests)


def test_goal_of_the_wrong_shape_is_refused(armed: So100Arm) -> None:
    with pytest.raises(ArmError, match=r"shape \(5,\), the arm has 6"):
        armed.write(np.zeros(5))


def test_torque_comes_on_though_the_servos_are_not_heard_at_first(
    emulated: EmulatedArm, units: tuple[JointUnits, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = So100Arm(FeetechBus(emulated.port), units)
    arm.connect()
    execute, heard_s = emulated._execute, time.monotonic() + 0.3  # longer than one reading is repeated
    monkeypatch.setattr(
        emulated, "_execute", lambda request: execute(request) if time.monotonic() > heard_s else []
    )
    arm.enable_torque()
    assert arm.torque_enabled
    arm.close()


def test_servos_once_found_are_set_up_though_a_busy_computer_hears_them_late(
    emulated: EmulatedArm, units: tuple[JointUnits, ...]
) -> None:
    class LateAfterThePings(LineFaults):
        def answer(self, packet: bytes) -> tuple[float, bytes]:
            self.counts["answers"] += 1
            return (0.06 if self.counts["answers"] > len(units) else 0.0), packet

    emulated.faults = LateAfterThePings()
    with closing(So100Arm(FeetechBus(emulated.port), units)) as arm:
        arm.connect()
    assert emulated.faults.counts["answers"] > len(units)
    assert all(servo.value("Lock") == 1 for servo in emulated.servos.values())


def test_goal_without_torque_is_refused(armed: So100Arm) -> None:
    armed.disable_torque()
    with pytest.raises(ArmError, match="torque is off; call enable_torque"):
        armed.write(np.zeros(6))


def test_disable_torque_switches_all_servos_off(emulated: EmulatedArm, armed: So100Arm) -> None:
    armed.disable_torque()
    assert all(servo.value("Torque_Enable") == 0 for servo in emulated.servos.values())
    assert not armed.torque_enabled


def test_disable_torque_names_the_servo_that_did_not_confirm_and_switches_off_the_others(
    emulated: EmulatedArm, armed: So100Arm
) -> None:
    emulated.servos["shoulder_lift"].silent = True
    with pytest.raises(ArmError, match=r"shoulder_lift \(servo 2\): no answer"):
        armed.disable_torque()
    held = [name for name, servo in emulated.servos.items() if servo.value("Torque_Enable")]
    assert held == ["shoulder_lift"]


def test_silent_servo_is_named_while_the_others_still_read(emulated: EmulatedArm, armed: So100Arm) -> None:
    emulated.servos["elbow_flex"].silent = True
    reading = armed.read()
    assert reading.valid.tolist() == [True, True, False, True, True, True]
    assert "no answer from servo 3" in reading.failures["elbow_flex"]
    assert np.isnan(reading.positions_rad[2]) and np.isfinite(np.delete(reading.positions_rad, 2)).all()
    assert reading.position_ticks[2] == -1
    assert reading.communication_errors.tolist() == [0, 0, 1, 0, 0, 0]
    emulated.servos["elbow_flex"].silent = False
    assert armed.read().valid.all()


def test_one_damaged_answer_is_repeated_and_counted(emulated: EmulatedArm, armed: So100Arm) -> None:
    emulated.servos["wrist_roll"].corrupt_replies = 1
    reading = armed.read()
    assert reading.valid.all()
    assert reading.retries.tolist() == [0, 0, 0, 0, 1, 0]
    assert reading.communication_errors.sum() == 0


def test_bytes_left_on_the_line_do_not_disturb_the_next_read(emulated: EmulatedArm, armed: So100Arm) -> None:
    before = armed.read().position_ticks
    emulated.inject(bytes.fromhex("FF FF 01 11 00 FF 0F") + bytes(7) + b"\xff\xff\x02")
    np.testing.assert_array_equal(armed.read().position_ticks, before)


def test_hardware_faults_are_reported_by_joint(emulated: EmulatedArm, armed: So100Arm) -> None:
    emulated.servos["gripper"].fault_bits = 32 | 4
    reading = armed.read()
    assert reading.valid.all()
    assert reading.error_bits.tolist() == [0, 0, 0, 0, 0, 36]
    assert reading.faults(armed.joint_names) == {"gripper": ("overheat", "overload")}


def test_torque_stays_off_while_a_servo_reports_a_fault(emulated: EmulatedArm, arm: So100Arm) -> None:
    emulated.servos["gripper"].fault_bits = 32
    assert arm.connect().warnings == ("gripper (servo 6) reports overload",)
    with pytest.raises(ArmError, match="torque stays off: gripper reports overload"):
        arm.enable_torque()
    assert not any(servo.value("Torque_Enable") for servo in emulated.servos.values())


def test_the_remedy_for_an_overload_is_torque_off_and_on(
    emulated: EmulatedArm, armed: So100Arm, clock: Any
) -> None:
    servo = emulated.servos["shoulder_lift"]
    servo.gravity = 0.9
    for _ in range(40):
        clock.pass_s(0.1)
        armed.read()
    servo.gravity = 0.0
    assert armed.read().faults(armed.joint_names) == {"shoulder_lift": ("overload",)}
    armed.hold(armed.read())  # as the node does when it is deactivated
    with pytest.raises(ArmError, match="shoulder_lift reports overload"):
        armed.enable_torque()
    assert "set parameter `torque` to false and to true" in fault_remedies(ServoFault.OVERLOAD)
    armed.disable_torque()
    armed.enable_torque()


def test_torque_stays_off_while_a_joint_stands_outside_its_range(
    units: tuple[JointUnits, ...], calibration: dict[str, MotorCalibration]
) -> None:
    with EmulatedArm(calibration, start_ticks={"wrist_flex": 600}) as emulated:
        arm = So100Arm(FeetechBus(emulated.port), units)
        arm.connect()
        with pytest.raises(ArmError, match=r"wrist_flex \(servo 4\) stands at 600, outside .* 880 \.\. 3180"):
            arm.enable_torque()
        arm.close()


def test_torque_goes_off_again_if_one_servo_does_not_switch_it_on(
    emulated: EmulatedArm, arm: So100Arm, monkeypatch: Any
) -> None:
    arm.connect()
    servo = emulated.servos["wrist_roll"]
    write = servo.write

    def stuck(address: int, data: bytes) -> None:
        if address != 40:
            write(address, data)

    monkeypatch.setattr(servo, "write", stuck)
    with pytest.raises(ArmError, match="wrist_roll .* keeps Torque_Enable at 0 instead of 1"):
        arm.enable_torque()
    assert not any(servo.value("Torque_Enable") for servo in emulated.servos.values())


def test_unplugged_port_is_a_bus_error_and_says_so(emulated: EmulatedArm, armed: So100Arm) -> None:
    emulated.close()
    with pytest.raises(PortError, match="was lost.*still plugged in"):
        armed.read()
    with pytest.raises(BusError, match="is not open"):
        armed.read()
    assert not armed.torque_enabled


def test_goal_is_at_most_a_step_from_where_the_joint_was_measured(
    emulated: EmulatedArm, units: tuple[JointUnits, ...]
) -> None:
    arm = So100Arm(FeetechBus(emulated.port, timeout_s=0.2), units, So100Config(max_step_rad=0.2))
    arm.connect()
    arm.enable_torque()
    before = arm.read().positions_rad
    goal = before + np.array([0.1, 0.3, -0.3, 0.0, 0.0, 0.0])
    assert arm.write(goal).tolist() == [False, True, True, False, False, False]
    sent = [joint.ticks_to_rad(float(t)) for joint, t in zip(units, arm.read().goal_ticks, strict=True)]
    np.testing.assert_allclose(sent - before, [0.1, 0.2, -0.2, 0, 0, 0], atol=RAD_PER_TICK)
    emulated.servos["shoulder_lift"].silent = True
    for _ in range(3):  # however often it is commanded: a joint that does not answer gets no further goal
        arm.read()
        arm.write(goal + 1.0)
    emulated.servos["shoulder_lift"].silent = False
    arm.write(goal + 1.0)
    assert abs(units[1].ticks_to_rad(float(arm.read().goal_ticks[1])) - before[1]) < 0.2 + RAD_PER_TICK
    arm.close()


def test_goal_that_a_servo_missed_is_written_again(emulated: EmulatedArm, armed: So100Arm) -> None:
    emulated.servos["elbow_flex"].silent = True
    armed.write(np.array([0.3, 1.8, 0.4, 0.0, 0.0, 0.9]))
    armed.bus.ping(1)  # an answer proves that the broadcast before it has arrived
    emulated.servos["elbow_flex"].silent = False
    missed = armed.read()
    assert armed.restore(missed) == {}
    reading = armed.read()
    assert reading.goal_ticks[2] == armed.units[2].rad_to_ticks(0.4) != missed.goal_ticks[2]
    assert reading.repeated_writes.tolist() == [0, 0, 1, 0, 0, 0]


def test_servo_that_never_takes_its_goal_is_reported(emulated: EmulatedArm, armed: So100Arm) -> None:
    armed.write(np.array([0.3, 1.8, 0.4, 0.0, 0.0, 0.9]))
    emulated.servos["elbow_flex"].write = lambda *_: None  # type: ignore[method-assign]
    armed.write(np.array([0.3, 1.8, 0.2, 0.0, 0.0, 0.9]))
    complaints = [armed.restore(armed.read()) for _ in range(5)]
    assert complaints[0] == {}
    assert complaints[-1] == {"elbow_flex": "elbow_flex (servo 3) does not take its goal; check its cable"}


def test_servo_with_a_fault_is_not_forced_to_hold(emulated: EmulatedArm, armed: So100Arm) -> None:
    emulated.power_cycle("wrist_roll")
    emulated.servos["wrist_roll"].fault_bits = 4
    complaints = armed.restore(armed.read())
    assert complaints["wrist_roll"].startswith("wrist_roll (servo 5) has let go: overheat: it is too hot")
    assert emulated.servos["wrist_roll"].value("Torque_Enable") == 0


def test_hold_stops_what_moves_and_keeps_what_stands_under_load_and_what_grips(
    emulated: EmulatedArm, armed: So100Arm, clock: Any
) -> None:
    emulated.servos["shoulder_lift"].gravity = -0.3  # stands 19 ticks below its goal
    gripper = emulated.servos["gripper"]
    gripper.stops = (gripper.position_ticks - 50, gripper.position_ticks + 50)  # on an object
    armed.write(np.array([0.0, 1.8, 0.0, 0.0, 1.5, 1.5]))
    armed.read()
    clock.pass_s(0.15)
    reading = armed.read()
    armed.hold(reading)
    held = armed.read()
    roll, lift = 4, 1
    assert held.goal_ticks[roll] == reading.position_ticks[roll] != reading.goal_ticks[roll]
    assert held.goal_ticks[lift] == reading.goal_ticks[lift]
    assert held.goal_ticks[5] == reading.goal_ticks[5]


def test_torque_limits_are_those_of_each_servo(emulated: EmulatedArm, armed: So100Arm) -> None:
    armed.limit_torque(np.array([1.0, 0.6, 1.0, 1.0, 1.0, 0.6]))
    assert armed.read().torque_limits.tolist() == [1000, 600, 1000, 1000, 1000, 300]
    emulated.servos["shoulder_lift"]._set("Torque_Limit", 1000)
    armed.restore(armed.read())
    assert armed.read().torque_limits[1] == 600
    armed.connect()  # a later run does not inherit the limit
    assert armed.read().torque_limits.tolist() == [1000, 1000, 1000, 1000, 1000, 500]


def test_driver_that_comes_back_leaves_goals_of_a_holding_arm_alone(
    emulated: EmulatedArm, armed: So100Arm, clock: Any
) -> None:
    emulated.servos["shoulder_lift"].gravity = -0.3
    clock.pass_s(1.0)
    goals = armed.read().goal_ticks
    for _ in range(3):  # it would sink a little each time
        armed.close()
        armed.connect()
        armed.enable_torque()
        clock.pass_s(1.0)
    np.testing.assert_array_equal(armed.read().goal_ticks, goals)


def test_holding_servos_are_not_released_when_another_cannot_be_switched_on(
    emulated: EmulatedArm, armed: So100Arm, monkeypatch: Any
) -> None:
    emulated.power_cycle("wrist_roll")
    servo = emulated.servos["wrist_roll"]
    write = servo.write
    monkeypatch.setattr(servo, "write", lambda address, data: address == 40 or write(address, data))
    armed.close()
    armed.connect()
    with pytest.raises(ArmError, match="wrist_roll .* keeps Torque_Enable at 0 instead of 1"):
        armed.enable_torque()
    limp = [name for name, servo in emulated.servos.items() if not servo.value("Torque_Enable")]
    assert limp == ["wrist_roll"]
