# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor node executes chunks, and holds whenever its inputs are missing or invalid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import smolvla_ros.msg as msg
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from smolvla_ros.nodes import topics
from smolvla_ros.wire import header_stamp_ns, nanoseconds

TASK = "pick up the red cube"
MAX_STEP_RAD = 0.05
STEP_NS = 33_333_333
STALE_AFTER_NS = 200_000_000
Bench = Any  # ExecutorBench


@pytest.fixture(scope="module")
def running(shared_executor: Any) -> Bench:
    bench = shared_executor(max_step_rad=MAX_STEP_RAD, soft_start_s=0.1)
    assert bench.states[-1].state == msg.ExecutorState.DISARMED
    return bench


def test_a_chunk_for_the_task_is_requested_and_executed(bench: Bench) -> None:
    bench.start_motion()
    assert bench.requests[0].task == TASK
    assert bench.requests[0].reason == msg.ChunkRequest.START
    assert bench.states[-1].state == msg.ExecutorState.ARMED
    assert np.abs(np.diff(bench.pan())).max() <= MAX_STEP_RAD + 1e-9
    assert sorted(bench.pan()) == bench.pan()


def test_the_next_chunk_is_requested_before_the_queue_is_empty(bench: Bench) -> None:
    bench.start_motion()
    bench.observer.until(lambda: len(bench.requests) > 1, "the second request")
    assert bench.requests[1].reason == msg.ChunkRequest.THRESHOLD
    assert bench.requests[1].queue_duration.sec + bench.requests[1].queue_duration.nanosec * 1e-9 > 0.5
    assert len(bench.requests[1].prefix) % 6 == 0 and len(bench.requests[1].prefix) > 0


def test_it_holds_within_one_period_when_joint_states_stop(bench: Bench) -> None:
    bench.start_motion()
    bench.silent = True
    stale_ns = bench.fed_ns + STALE_AFTER_NS
    bench.observer.until(
        lambda: nanoseconds(bench.commands[-1].header.stamp) > stale_ns, "stale joint states"
    )
    bench.observer.until(bench.state_is(msg.ExecutorState.HOLDING), "holding")
    assert "joint states" in bench.states[-1].reason
    fresh = [command for command in bench.commands if header_stamp_ns(command) <= stale_ns]
    assert fresh[-1].position[0] > fresh[-2].position[0]
    bench.observer.until(lambda: len(bench.commands) > len(fresh) + 5, "commands that hold")
    assert {tuple(command.position) for command in bench.commands[len(fresh) :]} == {
        tuple(fresh[-1].position)
    }
    lines = [text for text in bench.output.splitlines() if "armed -> holding: joint states are" in text]
    assert len(lines) == 1 and "WARN" in lines[0]


def test_it_holds_when_chunks_stop_and_continues_when_they_return(bench: Bench) -> None:
    bench.start_motion()
    bench.observer.until(lambda: bench.states[-1].starved_periods > 0, "the last action to be used up", 4.0)
    assert bench.states[-1].state == msg.ExecutorState.HOLDING
    held = len(bench.commands)
    bench.observer.spin(0.3)
    assert len(bench.commands) > held + 5 and len(set(bench.pan()[held:])) == 1
    bench.send(np.tile(bench.middle, (60, 1)))
    bench.observer.until(bench.state_is(msg.ExecutorState.ARMED), "armed again")
    bench.observer.until(lambda: abs(bench.pan()[-1]) < 1e-6, "the new chunk's pose")
    assert np.abs(np.diff(bench.pan())).max() <= MAX_STEP_RAD + 1e-9


def nan_chunk(bench: Bench) -> dict[str, Any]:
    positions = np.tile(bench.pose, (60, 1))
    positions[30, 2] = math.nan
    return {"positions": positions}


BAD_CHUNKS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "not_finite": nan_chunk,
    "wrong_joints": lambda b: {"positions": np.zeros((60, 5)), "joint_names": b.robot.joint_names[:5]},
    "wrong_width": lambda b: {"positions": np.zeros((59, 5))},
    "wrong_task": lambda b: {"task": "wave"},
    "expired": lambda b: {"age_s": 5.0},
    "from_the_future": lambda b: {"age_s": -1.0},
}


@pytest.mark.parametrize("reason", BAD_CHUNKS)
def test_a_bad_chunk_is_refused_with_its_reason(bench: Bench, reason: str) -> None:
    bench.set_task()
    bench.observer.until(lambda: bench.requests, "a chunk request")
    bench.send(**BAD_CHUNKS[reason](bench))
    bench.observer.until(lambda: bench.rejected().get(reason) == 1, f"the refusal as {reason}")
    bench.observer.spin(0.2)
    assert np.abs(np.array([command.position for command in bench.commands]) - bench.pose).max() < 1e-9


def test_a_duplicate_chunk_is_refused_and_the_motion_continues(bench: Bench) -> None:
    bench.start_motion()
    stamp_ns = bench.observer.now_ns() - 100_000_000
    bench.send(observation_stamp_ns=stamp_ns)
    bench.send(observation_stamp_ns=stamp_ns)
    bench.observer.until(lambda: sum(bench.rejected().values()) == 1, "the duplicate's refusal")
    assert bench.states[-1].state == msg.ExecutorState.ARMED


def test_an_impossible_target_is_reached_in_steps_and_inside_the_limits(bench: Bench) -> None:
    bench.set_task()
    bench.observer.until(lambda: bench.requests, "a chunk request")
    bench.send(np.tile(bench.pose + 100.0, (60, 1)))
    bench.observer.until(lambda: bench.pan() and bench.pan()[-1] > 0.5, "the arm to move")
    positions = np.array([command.position for command in bench.commands])
    assert np.abs(np.diff(positions, axis=0)).max() <= MAX_STEP_RAD + 1e-9
    assert (positions <= bench.robot.upper_rad + 1e-9).all()
    bench.observer.until(lambda: sum(bench.states[-1].clamps) > 0, "counted clamps")


def test_a_new_task_stops_the_old_motion_at_once(bench: Bench) -> None:
    bench.start_motion()
    latched = bench.observer.collect(topics.ACTIVE_TASK)
    bench.set_task("wave")
    commanded = bench.pan()[-1]
    bench.observer.until(lambda: bench.requests[-1].task == "wave", "a request for the new task")
    assert bench.requests[-1].reason == msg.ChunkRequest.TASK_CHANGE
    bench.observer.spin(0.2)
    assert abs(bench.pan()[-1] - commanded) <= MAX_STEP_RAD
    bench.observer.until(lambda: latched and latched[-1].data == "wave", "the latched active task")


def test_stop_latches_until_reset(bench: Bench) -> None:
    bench.start_motion()
    assert bench.observer.trigger("executor/stop").success
    bench.observer.until(bench.state_is(msg.ExecutorState.STOPPED), "the stop")
    sent = len(bench.commands)
    bench.observer.spin(0.2)
    assert len(bench.commands) == sent
    refused = bench.observer.switch("executor/arm", True)
    assert not refused.success and "reset" in refused.message
    assert bench.observer.trigger("executor/reset").success
    assert bench.observer.switch("executor/arm", True).success


def test_a_stop_is_kept_through_all_transitions(bench: Bench) -> None:
    bench.bring_to("stopped")
    for transition in (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    ):
        bench.change_state(transition)
    bench.states.clear()
    bench.observer.until(lambda: bench.states, "a state")
    assert bench.states[-1].state == msg.ExecutorState.STOPPED
    assert bench.observer.trigger("executor/reset").success
    assert bench.arm().success


def test_fusion_changes_while_running_and_unknown_values_are_refused(bench: Bench) -> None:
    def change(name: str, value: Any) -> Any:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return bench.observer.call(SetParameters, "executor/set_parameters", request).results[0]

    assert change("fusion", "replace").successful
    assert change("trigger", "auto").successful
    assert change("max_acceleration_rad_s2", 5.0).successful
    bench.observer.until(
        lambda: (bench.states[-1].fusion, bench.states[-1].trigger) == ("replace", "auto"),
        "both in the state",
    )
    refused = change("fusion", "magic")
    assert not refused.successful and "magic" in refused.reason and "linear_blend" in refused.reason
    fixed = change("rate_hz", 50.0)
    assert not fixed.successful and "deactivate" in fixed.reason


def test_while_disarmed_it_requests_and_sends_nothing(make_bench: Any) -> None:
    bench = make_bench(armed=False)
    bench.set_task()
    bench.observer.spin(0.5)
    assert bench.states[-1].state == msg.ExecutorState.DISARMED
    assert not bench.commands and not bench.requests


def test_shadow_plans_shows_the_plan_and_sends_nothing(make_bench: Any) -> None:
    bench = make_bench(armed=False)
    bench.bring_to("shadow")
    plans = bench.observer.collect(topics.EXECUTOR_PLAN)
    bench.set_task()
    bench.observer.until(lambda: bench.requests, "a chunk request")
    bench.send()
    bench.observer.until(lambda: bench.states[-1].queue_length > 0 and plans, "a plan")
    bench.observer.spin(0.3)
    assert bench.states[-1].state == msg.ExecutorState.SHADOW
    assert not bench.commands
    plan = plans[-1]
    assert tuple(plan.joint_names) == bench.robot.joint_names
    assert len(plan.points) == pytest.approx(bench.states[-1].queue_length, abs=4)
    after_s = [point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in plan.points]
    np.testing.assert_allclose(np.diff(after_s), STEP_NS * 1e-9)
    pan = [point.positions[0] for point in plan.points]
    np.testing.assert_allclose(np.diff(pan)[2:-2], 0.4 / 59, atol=1e-6)
    assert bench.observer.switch("executor/shadow", False).success
    bench.observer.until(lambda: not plans[-1].points, "the plan to be gone")


def test_by_default_there_are_no_topics_for_ros2_control(bench: Bench) -> None:
    names = {name for name, _ in bench.observer.node.get_topic_names_and_types()}
    assert "/joint_commands" in names
    assert not names & {"/joint_trajectory", "/position_commands"}


def test_diagnostics_agree_with_the_state(bench: Bench) -> None:
    diagnostics = bench.observer.collect(topics.DIAGNOSTICS)
    bench.start_motion()
    diagnostics.clear()
    bench.observer.until(lambda: diagnostics, "diagnostics")
    status = diagnostics[-1].status[0]
    values = {value.key: value.value for value in status.values}
    assert status.name == "executor" and status.message.startswith(("armed", "holding"))
    assert values["policy nodes"] == "1" and values["requests"] == str(
        bench.counted.requests + len(bench.requests)
    )
    assert {"following error (rad)", "missed periods", "commands limited: gripper"} <= set(values)


@pytest.mark.parametrize("state", ["disarmed", "shadow", "holding", "fault", "stopped", "inactive"])
def test_stop_works_in_every_state(make_bench: Any, state: str) -> None:
    bench = make_bench(armed=False, following_error_s=0.0, max_following_error_rad=0.1)
    bench.bring_to(state)
    assert bench.observer.trigger("executor/stop").success
    if state == "inactive":
        bench.change_state(Transition.TRANSITION_ACTIVATE)
    bench.observer.until(bench.state_is(msg.ExecutorState.STOPPED), "the stop")
    sent = len(bench.commands)
    bench.observer.spin(0.2)
    assert len(bench.commands) == sent
