# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor follows chunks, and in every doubt keeps the arm where it is and says why."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smolvla_ros.chunk import ActionChunk, ChunkError, ChunkRequest, RequestReason
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.execution.chunk_executor import ChunkExecutor, Command, ExecutorConfig, ExecutorConfigError
from smolvla_ros.execution.fusion import FUSIONS
from smolvla_ros.robot import Joints, RobotSpec

SECOND = 1_000_000_000
PERIOD_S = 1.0 / 30.0
CONFIG = ExecutorConfig(mode="armed", max_step_rad=0.05, soft_start_s=0.5)
ANY_TASK = "pick"


class Bench:
    """An executor at 30 Hz with an arm that is always where it was told to be; time passes only by `run`."""

    def __init__(self, robot: RobotSpec, config: ExecutorConfig = CONFIG, task: str = ANY_TASK) -> None:
        self.robot = robot
        self.executor = ChunkExecutor(config, robot)
        self.now_ns = 1_000 * SECOND
        self.middle = np.array([joint.middle_rad for joint in robot.joints])
        self.pose = self.middle.copy()
        self.joint_states_come = True
        self.commands: list[Command] = []
        self.requests: list[ChunkRequest] = []
        self.executor.set_task(task, self.now_ns)

    @property
    def state(self) -> ArmingState:
        return self.executor.status(self.now_ns).state

    @property
    def reason(self) -> str:
        return self.executor.status(self.now_ns).reason

    def measure(self) -> None:
        joints = Joints(self.now_ns, self.pose.copy(), np.zeros(6), np.zeros(6))
        self.executor.update_joints(joints)

    def run(self, seconds: float = PERIOD_S) -> None:
        for _ in range(round(seconds / PERIOD_S)):
            self.now_ns += round(PERIOD_S * SECOND)
            if self.joint_states_come:
                self.measure()
            command = self.executor.step(self.now_ns)
            if command is not None:
                self.commands.append(command)
                self.pose = command.positions_rad
            request = self.executor.request(self.now_ns)
            if request is not None:
                self.requests.append(request)

    def chunk(self, pan_speed: float = 0.5, age_s: float = 0.1, **fields: Any) -> ActionChunk:
        """Two seconds of shoulder_pan moving at `pan_speed` rad/s from the middle."""
        times_s = np.arange(61) * PERIOD_S
        values: dict[str, Any] = {
            "positions": self.middle + pan_speed * times_s[:, None] * np.eye(6)[0],
            "joint_names": self.robot.joint_names,
            "observation_stamp_ns": self.now_ns - round(age_s * SECOND),
            "step_duration_ns": round(PERIOD_S * SECOND),
            "chunk_id": 1,
            "request_id": self.requests[-1].request_id if self.requests else 0,
            "task": ANY_TASK,
        }
        return ActionChunk(**{**values, **fields})

    def accept(self, *arguments: Any, **fields: Any) -> None:
        self.executor.accept(self.chunk(*arguments, **fields), self.now_ns)

    def refusal(self, **fields: Any) -> str:
        with pytest.raises(ChunkError) as caught:
            self.accept(**fields)
        return caught.value.reason

    def move(self) -> None:
        """Armed, and under way along a chunk."""
        self.run(0.1)
        self.accept()
        self.run(0.8)
        assert self.state is ArmingState.ARMED

    def pan(self) -> np.ndarray:
        return np.array([command.positions_rad[0] for command in self.commands])


@pytest.fixture
def bench(robot: RobotSpec) -> Bench:
    return Bench(robot)


# Following


def test_it_follows_a_chunk_by_its_clock(bench: Bench) -> None:
    bench.move()
    elapsed_s = (bench.now_ns - bench.executor._observed_ns) / SECOND  # type: ignore[operator]
    assert bench.pan()[-1] == pytest.approx(0.5 * elapsed_s, abs=1e-6)


def test_a_command_leaves_every_period_from_arming_on(bench: Bench) -> None:
    bench.run(0.5)
    bench.accept()
    bench.run(4.0)
    stamps = np.array([command.stamp_ns for command in bench.commands])
    assert len(stamps) == 135
    assert (np.diff(stamps) == round(PERIOD_S * SECOND)).all()


def test_it_starts_from_the_measured_pose_and_softly(bench: Bench) -> None:
    bench.pose = bench.middle + 0.1
    bench.run(0.1)
    np.testing.assert_array_equal(bench.commands[0].positions_rad, bench.middle + 0.1)
    bench.accept(pan_speed=0.0, positions=np.tile(bench.middle + [1.0, 0, 0, 0, 0, 0], (60, 1)))
    bench.run(1.0)
    steps = np.diff(bench.pan())
    first = np.flatnonzero(steps)[0]
    assert steps[first] == pytest.approx(0.1 * 0.05)
    assert steps[first + 5] == pytest.approx((0.1 + 0.9 * 5 * PERIOD_S / 0.5) * 0.05)
    assert steps.max() == pytest.approx(0.05)


def test_chunks_that_agree_are_followed_through_all_their_seams(bench: Bench) -> None:
    bench.run(0.1)
    start_ns = bench.now_ns
    for _ in range(20):
        times_s = (bench.now_ns - start_ns) / SECOND + np.arange(61) * PERIOD_S
        bench.accept(positions=bench.middle + 0.3 * np.sin(times_s)[:, None] * np.eye(6)[0], age_s=0.0)
        bench.run(0.4)
    due = 0.3 * np.sin([(command.stamp_ns - start_ns) / SECOND for command in bench.commands])
    assert np.abs(bench.pan() - due)[30:].max() < 1e-3


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_minute_with_random_latency_never_starves(robot: RobotSpec, fusion: str) -> None:
    random = np.random.default_rng(7)
    bench = Bench(robot, dataclasses.replace(CONFIG, fusion=fusion))
    arrivals: list[tuple[int, ActionChunk]] = []
    for _ in range(60 * 30):
        asked = len(bench.requests)
        bench.run()
        for request in bench.requests[asked:]:
            arrival_ns = bench.now_ns + round(random.uniform(0.05, 0.9) * SECOND)
            times_s = bench.now_ns / SECOND + np.arange(61) * PERIOD_S
            sway = bench.middle + 0.2 * np.sin(times_s)[:, None] + random.normal(0.0, 0.01, 6)
            answer = bench.chunk(age_s=0.0, positions=sway, request_id=request.request_id)
            arrivals.append((arrival_ns, answer))
        while arrivals and arrivals[0][0] <= bench.now_ns:
            bench.executor.accept(arrivals.pop(0)[1], bench.now_ns)
    status = bench.executor.status(bench.now_ns)
    assert status.starved_periods == 0
    assert status.commands >= 60 * 30 - 1
    assert status.chunks_accepted > 40
    assert 0.3 < status.request_latency_p50_s < status.request_latency_p95_s < 0.95
    positions = np.array([command.positions_rad for command in bench.commands])
    assert np.abs(np.diff(positions, axis=0)).max() <= 0.05 + 1e-12
    due = bench.middle + 0.2 * np.sin([[command.stamp_ns / SECOND] for command in bench.commands])
    assert np.abs(positions - due)[60:].max() < 0.06


# Holding


def test_it_holds_within_one_period_when_the_plan_is_used_up(bench: Bench) -> None:
    bench.move()
    bench.run(3.0)
    assert bench.state is ArmingState.HOLDING
    assert "used up" in bench.reason and "holding for" in bench.reason
    end_ns = bench.executor._observed_ns + 60 * round(PERIOD_S * SECOND)  # type: ignore[operator]
    after = [command for command in bench.commands if command.stamp_ns > end_ns]
    last = [command for command in bench.commands if command.stamp_ns <= end_ns][-1]
    assert len(after) > 30
    for command in after:
        np.testing.assert_array_equal(command.positions_rad, last.positions_rad)
    assert bench.executor.status(bench.now_ns).starved_periods == len(after)


def test_it_holds_within_one_period_when_joint_states_stop(bench: Bench) -> None:
    bench.move()
    last_joints_ns = bench.now_ns
    bench.joint_states_come = False
    bench.run(0.5)
    assert bench.state is ArmingState.HOLDING
    assert "joint states are 0.50 s old" in bench.reason
    fresh = [command for command in bench.commands if command.stamp_ns - last_joints_ns <= 0.2 * SECOND]
    stale = bench.commands[len(fresh) :]
    assert len(stale) >= 9
    for command in stale:
        np.testing.assert_array_equal(command.positions_rad, fresh[-1].positions_rad)


def test_it_goes_on_softly_by_itself_when_joint_states_are_back(bench: Bench) -> None:
    bench.move()
    bench.joint_states_come = False
    bench.run(0.5)
    held = len(bench.commands)
    bench.joint_states_come = True
    bench.run()
    assert bench.state is ArmingState.ARMED
    assert bench.pan()[held] - bench.pan()[held - 1] == pytest.approx(0.1 * 0.05)


def test_it_asks_nobody_while_joint_states_are_stale(bench: Bench) -> None:
    bench.joint_states_come = False
    bench.run(1.0)
    assert not bench.requests
    bench.joint_states_come = True
    bench.run()
    assert len(bench.requests) == 1


def test_it_goes_on_by_itself_with_the_next_chunk(bench: Bench) -> None:
    bench.move()
    bench.run(3.0)
    assert bench.state is ArmingState.HOLDING
    bench.accept(pan_speed=-0.5)
    bench.run(1.0)
    assert bench.state is ArmingState.ARMED and bench.reason == ""
    assert bench.pan()[-1] < 0.0


def test_waiting_for_the_first_chunk_is_no_starvation(bench: Bench) -> None:
    bench.run(1.0)
    assert bench.state is ArmingState.HOLDING
    assert bench.reason.startswith("no chunk yet for 'pick'; holding for 0.9")
    assert bench.executor.status(bench.now_ns).starved_periods == 0


def test_without_a_task_it_holds_and_asks_nobody(robot: RobotSpec) -> None:
    bench = Bench(robot, task="")
    bench.run(0.5)
    assert bench.state is ArmingState.HOLDING and "no task" in bench.reason
    assert bench.commands and not bench.requests
    assert bench.refusal(task="") == "wrong_task"


@pytest.mark.parametrize(("back_s", "words"), [(0.0, "stands still"), (0.02, "went back by 0.020 s")])
def test_it_holds_while_the_clock_does_not_advance(bench: Bench, back_s: float, words: str) -> None:
    bench.move()
    bench.now_ns -= round((back_s + PERIOD_S) * SECOND)
    bench.run()
    assert bench.state is ArmingState.HOLDING and words in bench.reason
    assert bench.pan()[-1] == bench.pan()[-2]
    bench.run(0.1)
    assert bench.state is ArmingState.ARMED
    assert (np.diff(bench.pan()) >= 0.0).all()


def test_after_a_jump_of_the_clock_it_starts_over_in_the_new_time(bench: Bench) -> None:
    bench.move()
    bench.now_ns -= 500 * SECOND
    held = bench.pan()[-1]
    bench.run(0.5)
    assert bench.state is ArmingState.HOLDING and bench.pan()[-1] == held
    assert bench.requests[-1].reason is RequestReason.START
    bench.accept()
    bench.run(0.5)
    assert bench.state is ArmingState.ARMED
    assert np.abs(np.diff(bench.pan())).max() <= 0.05 + 1e-12


# Tasks


def test_a_new_task_drops_the_plan_and_refuses_chunks_of_the_old_one(bench: Bench) -> None:
    bench.move()
    bench.executor.set_task("wave", bench.now_ns)
    held = bench.pan()[-1]
    bench.run()
    assert bench.requests[-1].reason is RequestReason.TASK_CHANGE and bench.requests[-1].task == "wave"
    assert bench.refusal(task="pick") == "wrong_task"
    bench.run(0.5)
    assert bench.pan()[-1] == held
    assert bench.reason.startswith("no chunk yet for 'wave'; holding for 0.5 s")
    bench.accept(task="wave")
    bench.run()
    assert bench.state is ArmingState.ARMED


def test_a_new_task_may_be_answered_from_the_same_observation(bench: Bench) -> None:
    bench.move()
    stamp_ns = bench.executor._observed_ns
    bench.executor.set_task("wave", bench.now_ns)
    bench.accept(task="wave", observation_stamp_ns=stamp_ns)


def test_the_same_task_again_changes_nothing(bench: Bench) -> None:
    bench.move()
    bench.executor.set_task("pick", bench.now_ns)
    bench.run()
    assert bench.state is ArmingState.ARMED


# Chunks


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("wrong_joints", {"joint_names": ("a", "b", "c", "d", "e", "f")}),
        ("wrong_width", {"positions": np.zeros((60, 5))}),
        ("not_finite", {"positions": np.full((60, 6), math.nan)}),
        ("step_duration", {"step_duration_ns": 0}),
        ("expired", {"age_s": 5.0}),
        ("from_the_future", {"age_s": -1.0}),
        ("wrong_task", {"task": "wave"}),
        ("out_of_order", {"age_s": 1.5}),
    ],
)
def test_a_bad_chunk_is_refused_whole_and_counted(bench: Bench, reason: str, fields: dict[str, Any]) -> None:
    bench.move()
    before = bench.executor.status(bench.now_ns)
    assert bench.refusal(**fields) == reason
    after = bench.executor.status(bench.now_ns)
    assert after.rejected == {reason: 1}
    assert dataclasses.replace(after, rejected={}) == before


def test_a_duplicate_is_refused_and_a_restarted_policy_is_not(bench: Bench) -> None:
    bench.move()
    assert bench.refusal(observation_stamp_ns=bench.executor._observed_ns, chunk_id=2) == "duplicate"
    bench.accept(chunk_id=1)


def test_a_refused_answer_is_asked_for_again_at_once(bench: Bench) -> None:
    bench.run(0.1)
    assert len(bench.requests) == 1
    assert bench.refusal(task="wave") == "wrong_task"
    bench.run()
    assert len(bench.requests) == 2


def test_a_chunk_that_could_not_even_be_read_is_counted_too(bench: Bench) -> None:
    bench.run(0.1)
    bench.executor.reject("wrong_width", bench.requests[-1].request_id)
    bench.run()
    assert bench.executor.status(bench.now_ns).rejected == {"wrong_width": 1}
    assert len(bench.requests) == 2


def test_a_request_carries_what_is_still_to_be_executed(bench: Bench) -> None:
    bench.move()
    request = bench.requests[-1]
    assert request.reason is RequestReason.THRESHOLD
    assert request.queue_duration_s == pytest.approx(0.7 * 2.0, abs=PERIOD_S)
    assert request.prefix.shape == (len(request.prefix), 6)
    assert len(request.prefix) * PERIOD_S == pytest.approx(request.queue_duration_s, abs=PERIOD_S)
    sent = next(command for command in bench.commands if command.stamp_ns == request.stamp_ns)
    np.testing.assert_allclose(request.prefix[0], sent.positions_rad, atol=1e-6)
    assert 0 < request.prefix_stamp_ns - request.stamp_ns <= 1


def test_one_request_is_in_flight_until_it_times_out(bench: Bench) -> None:
    bench.run(9.9)
    assert len(bench.requests) == 1 and bench.requests[0].prefix.shape == (0, 6)
    bench.run(0.3)
    assert [request.request_id for request in bench.requests] == [1, 2]


# States


def test_by_default_it_is_disarmed_and_sends_nothing(robot: RobotSpec) -> None:
    bench = Bench(robot, ExecutorConfig())
    bench.run(1.0)
    assert bench.state is ArmingState.DISARMED
    assert not bench.commands and not bench.requests
    assert bench.refusal() == "not_asked"


def test_shadow_plans_as_if_armed_and_sends_nothing(robot: RobotSpec) -> None:
    bench = Bench(robot, dataclasses.replace(CONFIG, mode="shadow"))
    bench.run(0.1)
    assert bench.state is ArmingState.SHADOW and "no chunk yet" in bench.reason
    bench.accept()
    bench.run(1.0)
    assert not bench.commands
    assert bench.executor.planned is not None
    assert bench.executor.planned[0] == pytest.approx(0.5 * 1.1, abs=1e-6)
    assert bench.executor.arm(bench.now_ns).ok
    bench.run()
    assert bench.commands[0].positions_rad[0] == 0.0


def test_it_cannot_be_armed_without_fresh_joint_states(robot: RobotSpec) -> None:
    executor = ChunkExecutor(ExecutorConfig(), robot)
    assert "no joint states yet" in executor.arm(SECOND).message
    executor.update_joints(Joints(SECOND, robot.lower_rad, np.zeros(6)))
    assert "1.00 s old" in executor.arm(2 * SECOND).message
    assert "0.50 s in the future" in executor.arm(SECOND // 2).message
    assert executor.status(SECOND).state is ArmingState.DISARMED
    assert executor.arm(SECOND).ok


@pytest.mark.parametrize(
    ("outside_rad", "armed"), [(0.0, True), (0.19, True), (0.21, False), (math.nan, False)]
)
def test_it_cannot_be_armed_far_outside_the_limits(robot: RobotSpec, outside_rad: float, armed: bool) -> None:
    bench = Bench(robot, ExecutorConfig())
    bench.pose[2] = robot.upper_rad[2] + outside_rad
    bench.measure()
    outcome = bench.executor.arm(bench.now_ns)
    assert outcome.ok == armed
    assert armed or "elbow_flex is at" in outcome.message


def test_armed_from_the_start_it_waits_for_joint_states(bench: Bench) -> None:
    bench.joint_states_come = False
    bench.run(0.5)
    assert bench.state is ArmingState.DISARMED and "will arm: no joint states yet" in bench.reason
    bench.joint_states_come = True
    bench.run()
    assert bench.state is ArmingState.HOLDING


@pytest.mark.parametrize("change_of_mind", ["disarm", "stop"])
def test_armed_from_the_start_it_can_still_be_held_back(bench: Bench, change_of_mind: str) -> None:
    bench.joint_states_come = False
    bench.run(0.1)
    if change_of_mind == "disarm":
        assert bench.executor.disarm().ok
    else:
        assert bench.executor.stop("wait").ok
    bench.joint_states_come = True
    bench.run(0.5)
    assert not bench.commands


def test_armed_from_the_start_in_a_bad_pose_it_stays_disarmed(bench: Bench) -> None:
    bench.pose = bench.robot.upper_rad + 0.5
    bench.run(0.1)
    bench.pose = bench.middle
    bench.run(0.1)
    assert bench.state is ArmingState.DISARMED and "shoulder_pan is at 2.50 rad" in bench.reason


def test_a_stop_latches_until_reset_and_forgets_the_plan(bench: Bench) -> None:
    bench.move()
    assert bench.executor.stop("operator").ok
    sent = len(bench.commands)
    bench.run(0.5)
    assert bench.state is ArmingState.STOPPED and bench.reason == "operator"
    assert len(bench.commands) == sent
    assert "reset first" in bench.executor.arm(bench.now_ns).message
    assert bench.executor.reset().ok and bench.executor.arm(bench.now_ns).ok
    bench.run(0.1)
    assert bench.state is ArmingState.HOLDING


@pytest.mark.parametrize("way_out", ["disarm", "shadow"])
def test_disarming_ends_the_commands_at_once(bench: Bench, way_out: str) -> None:
    bench.move()
    outcome = bench.executor.disarm() if way_out == "disarm" else bench.executor.shadow(True)
    assert outcome.ok
    sent = len(bench.commands)
    bench.run(0.5)
    assert len(bench.commands) == sent
    assert bench.executor.status(bench.now_ns).queue_length == 0


def test_leaving_shadow_does_not_disarm_an_armed_arm(bench: Bench) -> None:
    bench.move()
    outcome = bench.executor.shadow(False)
    assert not outcome.ok and "disarm instead" in outcome.message
    bench.run()
    assert bench.state is ArmingState.ARMED


def test_a_position_that_is_no_number_is_a_fault(robot: RobotSpec) -> None:
    bench = Bench(robot, dataclasses.replace(CONFIG, mode="shadow"))
    bench.pose[3] = math.nan
    bench.run(0.1)
    bench.accept()
    bench.run()
    assert bench.state is ArmingState.FAULT and "wrist_flex is nan" in bench.reason
    bench.run(0.5)
    assert not bench.commands


# Settings and status


def test_fusion_and_threshold_change_while_it_moves(bench: Bench) -> None:
    bench.move()
    asked = len(bench.requests)
    bench.executor.reconfigure(dataclasses.replace(CONFIG, fusion="replace", threshold=1.0))
    bench.accept(pan_speed=0.4, chunk_id=9, age_s=0.0)
    assert bench.executor.status(bench.now_ns).chunk_ids == (9,)
    bench.run()
    assert len(bench.requests) == asked + 1
    assert bench.state is ArmingState.ARMED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "ready"),
        ("rate_hz", 0.0),
        ("fusion", "magic"),
        ("threshold", 1.1),
        ("request_timeout_s", 0.0),
        ("max_step_rad", 0.0),
        ("soft_start_s", -1.0),
        ("stale_after_s", math.inf),
        ("max_ahead_s", math.nan),
    ],
)
def test_a_bad_setting_is_named_with_its_value(name: str, value: Any) -> None:
    with pytest.raises(ExecutorConfigError, match=f"{name}: .*{value}"):
        ExecutorConfig(**{name: value})


def test_status_tells_the_plan_its_ages_and_its_clamps(bench: Bench) -> None:
    start = bench.executor.status(bench.now_ns)
    assert start.queue_length == 0 and start.chunk_ids == ()
    assert math.isnan(start.joint_states_age_s) and math.isnan(start.chunk_age_s)
    assert math.isnan(start.inference_latency_p50_s) and math.isnan(start.request_latency_p95_s)
    bench.run(0.1)
    bench.accept(pan_speed=9.0, chunk_id=4, inference_duration_s=0.25)
    bench.run(0.5)
    status = bench.executor.status(bench.now_ns + 10_000_000)
    assert status.chunk_ids == (4,)
    assert status.queue_length == 42 and status.queue_duration_s == pytest.approx(1.39, abs=1e-6)
    assert status.joint_states_age_s == pytest.approx(0.01)
    assert status.chunk_age_s == pytest.approx(0.61, abs=1e-6)
    assert status.inference_latency_p50_s == status.inference_latency_p95_s == 0.25
    assert status.commands == len(bench.commands) and status.chunks_accepted == 1
    assert status.clamps == (15, 0, 0, 0, 0, 0)


# Whatever comes


EVENTS = st.one_of(
    st.tuples(st.just("run"), st.floats(0.03, 0.5)),
    st.tuples(
        st.just("chunk"), st.floats(-0.04, 2.2), st.integers(0, 2**32 - 1), st.sampled_from([1, 50, 1e307])
    ),
    st.tuples(st.just("joint states"), st.booleans()),
    st.tuples(st.just("task"), st.sampled_from(["pick", "wave", ""])),
    st.tuples(st.just("clock"), st.floats(-0.2, 2.0)),
    st.tuples(st.just("fusion"), st.sampled_from(sorted(FUSIONS))),
)


@settings(max_examples=80, deadline=None)
@given(events=st.lists(EVENTS, max_size=40))
def test_no_chunk_and_no_trouble_brings_a_command_out_of_its_limits(
    robot: RobotSpec, events: list[tuple[Any, ...]]
) -> None:
    bench = Bench(robot)
    bench.run(0.1)
    for what, *details in events:
        if what == "run":
            bench.run(details[0])
        elif what == "chunk":
            age_s, seed, scale = details
            positions = np.random.default_rng(seed).normal(scale=scale, size=(61, 6))
            try:
                bench.accept(positions=positions, age_s=age_s, task=bench.executor.status(0).task)
            except ChunkError:
                continue
        elif what == "joint states":
            bench.joint_states_come = details[0]
        elif what == "task":
            bench.executor.set_task(details[0], bench.now_ns)
        elif what == "clock":
            bench.now_ns += round(details[0] * SECOND)
        else:
            bench.executor.reconfigure(dataclasses.replace(CONFIG, fusion=details[0]))
    bench.run(0.1)
    assert bench.state in (ArmingState.ARMED, ArmingState.HOLDING)
    positions = np.array([bench.middle, *(command.positions_rad for command in bench.commands)])
    assert (positions >= robot.lower_rad).all() and (positions <= robot.upper_rad).all()
    assert np.abs(np.diff(positions, axis=0)).max() <= 0.05 + 1e-12
