# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A person takes control from a policy by a leader arm and by `jog`, and gives it back: real nodes, emulated servos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.dataset.alignment import AlignmentSettings
from smolvla_ros.dataset.bag import find_bags
from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.dataset.parallel_conversion import convert
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import compressed_image_msg, joint_command_msg
from smolvla_ros.observation import Frame

from ..package_files import CALIBRATION, CALIBRATION_FILE, ROBOT
from .conftest import EVERY_ONE, is_complete, measured_rad
from .leader_arm import move_by_hand
from .test_executor_arming import RealArm

LIMITS = {"max_step_rad": 0.15, "max_acceleration_rad_s2": 20.0}
PATIENT = {"stale_after_s": 2.0}  # with a busy computer
PERIOD_S = 1.0 / 30.0


@pytest.fixture
def bench(observer: Any, start: Callable[..., Any], emulated_arm: Any) -> RealArm:
    """Executor and arm; the arm moves along a chunk of a policy."""
    arm = start("nodes.arm_node", port=emulated_arm[0], command_timeout_s=5.0, max_command_age_s=5.0)
    executor = start("nodes.executor_node", operator_timeout_s=1.0, **PATIENT, **LIMITS)
    bench = RealArm(observer, executor, arm)
    bench.authority = observer.collect(topics.CONTROL_AUTHORITY)
    bench.connect()
    observer.until(lambda: any(map(is_complete, bench.joint_states)), "joint states")
    bench.pose = measured_rad(bench.joint_states)
    return bench


def start_policy(bench: Any) -> None:
    assert bench.arm().success
    bench.start_motion()
    assert bench.authority[-1].data == "policy"


def control_is(bench: Any, who: str) -> Callable[[], bool]:
    return lambda: bool(bench.authority) and bench.authority[-1].data == who


def give_back(bench: Any) -> None:
    assert bench.observer.switch("executor/take_over", False).success
    bench.observer.until(control_is(bench, "policy"), "the policy's control")


def check_commands(bench: Any) -> None:
    """Within the limits from the first command to the last, none left out."""
    goals = np.array([command.position for command in bench.commands])
    assert np.abs(np.diff(goals, axis=0)).max() <= LIMITS["max_step_rad"] + 1e-9
    most = LIMITS["max_acceleration_rad_s2"] * PERIOD_S**2
    assert np.abs(np.diff(goals, 2, axis=0)).max() <= most + 1e-9
    assert {command.header.frame_id for command in bench.commands} == {"/executor"}


def test_the_leader_arm_takes_control_and_gives_it_back(
    observer: Any, start: Callable[..., Any], bench: RealArm, leader: Any
) -> None:
    arm, file = leader
    leading = observer.collect(topics.LEADER_JOINT_STATES, qos=EVERY_ONE)
    start(
        "nodes.arm_node", "--ros-args", "-r", "__ns:=/leader", port=arm.port, calibration=file, role="leader"
    )
    teleop = start("nodes.teleop_node", calibration=CALIBRATION_FILE, leader_calibration=file, **PATIENT)
    observer.until(lambda: "holding: the leader has no control" in teleop.output, "the leader to wait")
    start_policy(bench)

    move_by_hand(arm)
    observer.until(control_is(bench, "operator"), "the leader's control")
    observer.until(
        lambda: np.abs(measured_rad(bench.joint_states) - measured_rad(leading))[:5].max() < 0.03,
        "the follower to arrive",
    )
    observer.until(lambda: bench.states[-1].reason == "'/teleop' leads", "the state to tell who leads")
    asked = bench.requests[-1].request_id

    give_back(bench)
    bench.send(age_s=0.5, request_id=asked)
    observer.until(lambda: bench.rejected().get("before_arming") == 1, "the late chunk's refusal")
    before = measured_rad(bench.joint_states)
    observer.until(lambda: bench.requests[-1].request_id > asked, "a new request")
    bench.pose = before
    bench.send(request_id=bench.requests[-1].request_id)
    observer.until(lambda: measured_rad(bench.joint_states)[0] > before[0] + 0.1, "the policy to go on")
    assert bench.authority[-1].data == "policy"
    check_commands(bench)


def test_jog_takes_control_and_holds_when_it_ends(
    observer: Any, bench: RealArm, on_terminal: Callable[..., Any]
) -> None:
    jog = on_terminal("tools.jog")
    observer.until(lambda: "no step yet" in jog.read(), "jog to hear the arm")
    start_policy(bench)
    before = measured_rad(bench.joint_states)[2]
    jog.press("3+")
    observer.until(control_is(bench, "operator"), "the control of jog")
    observer.until(  # more steps, because jog forgets its target when joint states are late
        lambda: jog.press("+") or measured_rad(bench.joint_states)[2] > before + 0.05, "the elbow to move"
    )
    assert bench.authority[-1].data == "operator"
    jog.press("q")
    assert jog.wait(10.0) == 0
    observer.until(lambda: "sends no target" in bench.states[-1].reason, "it to hold")
    assert bench.authority[-1].data == "operator"
    check_commands(bench)


def test_a_second_person_is_refused_and_told_who_leads(observer: Any, bench: RealArm) -> None:
    start_policy(bench)
    targets = observer.publisher(topics.OPERATOR_TARGETS)
    refusals = observer.collect(topics.REFUSED_COMMANDER)
    observer.until(lambda: targets.get_subscription_count(), "the executor")

    def lead(name: str) -> None:
        pose = measured_rad(bench.joint_states)
        targets.publish(joint_command_msg(ROBOT.joint_names, observer.now_ns(), pose, name))

    observer.until(lambda: lead("/console") or control_is(bench, "operator")(), "the first one's control")
    observer.until(lambda: lead("/console") or lead("/other") or refusals, "the second one's refusal")
    assert (refusals[0].key, refusals[0].value) == ("/other", "'/console' leads; stop it first")


def test_a_recorded_attempt_tells_who_commanded_each_row_of_the_dataset(
    observer: Any, start: Callable[..., Any], executor_bench: Callable[..., Any], tmp_path: Path
) -> None:
    bench = executor_bench(operator_timeout_s=5.0, **PATIENT)
    bench.authority = observer.collect(topics.CONTROL_AUTHORITY)
    images = observer.publisher(topics.IMAGE_COMPRESSED, "top/image_raw/compressed")
    targets = observer.publisher(topics.OPERATOR_TARGETS)
    episodes = tmp_path / "episodes"
    recorder = start("nodes.recorder_node", output=episodes, min_free_mb=1.0)
    observer.node.create_timer(
        PERIOD_S, lambda: images.publish(compressed_image_msg(_picture(observer.now_ns()), "", 90))
    )
    start_policy(bench)
    listeners = ("/joint_commands", "/joint_states", "/control_authority", "/top/image_raw/compressed")
    observer.until(
        lambda: all(
            "recorder" in {end.node_name for end in observer.node.get_subscriptions_info_by_topic(name)}
            for name in listeners
        ),
        "the recorder to listen",
    )
    assert observer.trigger("recorder/start").success, recorder.output
    observer.spin(0.5)
    goal = bench.pose.copy()
    targets.publish(joint_command_msg(ROBOT.joint_names, observer.now_ns(), goal, "/console"))
    observer.until(control_is(bench, "operator"), "the person's control")
    observer.spin(0.5)
    give_back(bench)
    observer.spin(0.5)
    assert observer.trigger("recorder/success").success

    patient = AlignmentSettings(30, max_camera_age_s=5.0, max_state_age_s=5.0, max_action_age_s=5.0)
    work = Conversion(tuple(find_bags([episodes])), tmp_path / "data", ROBOT, patient, CALIBRATION)
    converted = convert(work, append=False, jobs=1)
    assert converted.dataset is not None
    by_person = converted.dataset.frames(0).intervention
    changes = np.flatnonzero(np.diff(by_person.astype(int)))
    assert len(changes) == 2 and not by_person[0] and not by_person[-1]


def _picture(stamp_ns: int) -> Frame:
    return Frame("top", stamp_ns, np.full((48, 64, 3), stamp_ns // 10**8 % 256, np.uint8))
