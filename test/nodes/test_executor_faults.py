# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults around the executor node: commands never jump, the state tells the fault, and the node recovers by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import smolvla_ros.msg as msg

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import compressed_image_msg
from smolvla_ros.observation import Frame

State = msg.ExecutorState
Bench = Any  # ExecutorBench
RATE_HZ = 50.0
MAX_STEP_RAD = 0.03
MAX_ACCELERATION_RAD_S2 = 5.0  # so that the motion of a chunk cannot be stopped in one period


@pytest.fixture(scope="module")
def running(shared_executor: Any) -> Bench:
    return shared_executor(
        rate_hz=RATE_HZ,
        max_step_rad=MAX_STEP_RAD,
        max_acceleration_rad_s2=MAX_ACCELERATION_RAD_S2,
        soft_start_s=0.1,
    )


def assert_no_jump(bench: Bench, since: int = 0) -> None:
    """All commands from number `since` on are within the limits of step and acceleration."""
    commands = np.array([command.position for command in bench.commands[since:]])
    steps = np.diff(commands, axis=0)
    assert np.abs(steps).max() <= MAX_STEP_RAD + 1e-9
    assert np.abs(np.diff(steps, axis=0)).max() <= MAX_ACCELERATION_RAD_S2 / RATE_HZ**2 + 1e-9
    assert (commands >= bench.robot.lower_rad).all() and (commands <= bench.robot.upper_rad).all()


def check_recovery(bench: Bench) -> None:
    """The node executes a valid chunk, and was not restarted."""
    start = bench.pan()[-1]
    bench.send(age_s=0.0)
    bench.observer.until(lambda: bench.pan()[-1] > start + 0.1, "motion again")
    bench.observer.until(bench.state_is(State.ARMED), "armed")
    assert bench.program.running and "Traceback" not in bench.output


# The policy.


@pytest.fixture
def cameras(running: Bench) -> Iterator[Any]:
    """Cameras for the policy node: a timer, which can be cancelled and reset."""
    observer = running.observer
    publishers = {
        name: observer.publisher(topics.IMAGE_COMPRESSED, f"{name}/image_raw/compressed")
        for name in ("top", "wrist")
    }
    image = np.full((48, 64, 3), 90, np.uint8)

    def feed() -> None:
        for name, publisher in publishers.items():
            publisher.publish(compressed_image_msg(Frame(name, observer.now_ns(), image), "", 90))

    timer = observer.node.create_timer(0.03, feed)
    yield timer
    observer.node.destroy_timer(timer)
    for publisher in publishers.values():
        observer.node.destroy_publisher(publisher)


def start_policy(start: Any, **parameters: Any) -> Any:
    return start("nodes.policy_node", policy="scripted", cameras=("top", "wrist"), **parameters)


def test_a_policy_that_is_killed_and_restarted_continues(
    make_bench: Callable[..., Bench], start: Any, cameras: Any
) -> None:
    bench = make_bench(request_timeout_s=60.0)
    policy = start_policy(start)
    bench.set_task()
    bench.observer.until(lambda: bench.states[-1].chunks_accepted >= 2, "two chunks")
    policy.kill()
    bench.observer.until(
        lambda: bench.state_is(State.HOLDING)() and "the last chunk is used up" in bench.states[-1].reason,
        "holding when the plan is used up",
        4.0,
    )
    accepted = bench.states[-1].chunks_accepted
    start_policy(start)
    bench.observer.until(
        lambda: bench.states[-1].chunks_accepted > accepted and bench.states[-1].state == State.ARMED,
        "chunks of the new policy, long before a request times out",
    )
    bench.observer.spin(0.5)
    assert_no_jump(bench)


def test_without_new_images_it_holds_until_they_return(bench: Bench, start: Any, cameras: Any) -> None:
    start_policy(start)
    bench.set_task()
    bench.observer.until(lambda: bench.states[-1].chunks_accepted >= 2, "two chunks")
    cameras.cancel()
    bench.observer.until(bench.state_is(State.HOLDING), "holding when the plan is used up", 4.0)
    accepted = bench.states[-1].chunks_accepted
    bench.observer.spin(0.3)
    assert bench.states[-1].chunks_accepted == accepted
    cameras.reset()
    bench.observer.until(bench.state_is(State.ARMED), "motion again", 2.0)
    assert_no_jump(bench)


def test_with_two_policies_one_answer_to_each_request_is_accepted(
    bench: Bench, start: Any, cameras: Any
) -> None:
    diagnostics = bench.observer.collect(topics.DIAGNOSTICS)
    for latency_s in (0.05, 0.15):
        start_policy(start, latency_s=latency_s)
    bench.observer.until(lambda: bench.observer.node.count_publishers("action_chunk") == 3, "both policies")
    bench.set_task()
    bench.observer.until(lambda: bench.rejected().get("duplicate", 0) >= 2, "refused second answers")
    assert bench.states[-1].state == State.ARMED
    assert bench.states[-1].chunks_accepted <= bench.states[-1].requests
    words = "policy nodes send chunks, stop all but one"
    bench.observer.until(lambda: any(words in array.status[0].message for array in diagnostics), "a warning")
    assert_no_jump(bench)


# Chunks.


def test_a_thousand_chunks_per_second_delay_no_command(bench: Bench) -> None:
    bench.start_motion()
    chunk, accepted, sent = bench.chunk(), bench.states[-1].chunks_accepted, len(bench.commands)
    began_s = time.monotonic()
    for number in range(1000):
        chunk.header.stamp = chunk.observation_stamp = bench.observer.node.get_clock().now().to_msg()
        bench.publish(chunk)
        while time.monotonic() < began_s + number * 1e-3:
            bench.observer.spin(0.001)
    took_s = time.monotonic() - began_s
    bench.observer.spin(0.2)
    stamps = np.array([c.header.stamp.sec + 1e-9 * c.header.stamp.nanosec for c in bench.commands[sent:]])
    assert len(stamps) >= 0.9 * took_s * RATE_HZ
    assert np.median(np.diff(stamps)) == pytest.approx(1.0 / RATE_HZ, rel=0.1)
    bench.observer.until(lambda: bench.states[-1].chunks_accepted > accepted, "chunks of the storm")
    assert_no_jump(bench)
    check_recovery(bench)


def nan_chunk(bench: Bench) -> Any:
    positions = np.tile(bench.pose, (60, 1))
    positions[30, 2] = np.nan
    return bench.chunk(positions)


BAD_CHUNKS: dict[str, Callable[[Bench], Any]] = {
    "expired": lambda bench: bench.chunk(age_s=5.0),
    "not_finite": nan_chunk,
    "wrong_task": lambda bench: bench.chunk(task="wave"),
}


@pytest.mark.parametrize("reason", BAD_CHUNKS)
def test_a_bad_chunk_does_not_change_the_motion(bench: Bench, reason: str) -> None:
    bench.start_motion()
    for _ in range(3):
        bench.publish(BAD_CHUNKS[reason](bench))
    bench.observer.until(lambda: bench.rejected().get(reason) == 3, f"the refusals as {reason}")
    assert bench.states[-1].state == State.ARMED
    check_recovery(bench)
    assert_no_jump(bench)


def test_old_and_duplicate_chunks_are_refused(bench: Bench) -> None:
    bench.start_motion()
    newer, older = bench.chunk(age_s=0.0), bench.chunk(age_s=0.5)
    older.positions[:] = type(older.positions)("d", 60 * list(bench.middle))
    for chunk in (newer, older, newer):
        bench.publish(chunk)
    bench.observer.until(lambda: sum(bench.rejected().values()) == 2, "both refusals")
    assert bench.rejected() == {"out_of_order": 1, "duplicate": 1}
    bench.observer.spin(0.3)
    assert (np.diff(bench.pan()) >= -1e-9).all()  # never back to the middle
    assert_no_jump(bench)


@pytest.mark.parametrize("on_task_change", ["flush", "finish", "blend"])
def test_a_change_of_the_task_during_a_chunk_is_smooth(make_bench: Any, on_task_change: str) -> None:
    bench = make_bench(on_task_change=on_task_change)
    bench.start_motion()
    bench.set_task("wave")
    bench.publish(bench.chunk(age_s=0.0))  # still for the old task
    bench.observer.until(lambda: bench.rejected().get("wrong_task") == 1, "its refusal")
    bench.observer.until(lambda: bench.requests[-1].task == "wave", "a request for the new task")
    assert bench.requests[-1].reason == msg.ChunkRequest.TASK_CHANGE
    bench.send(task="wave", age_s=0.0, request_id=bench.requests[-1].request_id)
    start = bench.pan()[-1]
    bench.observer.until(lambda: bench.pan()[-1] > start + 0.1, "motion for the new task", 4.0)
    assert bench.states[-1].state == State.ARMED
    assert_no_jump(bench)


# Joint states.


def test_an_arm_that_does_not_move_is_a_fault_until_it_is_reset(make_bench: Any) -> None:
    bench = make_bench(max_following_error_rad=0.1, following_error_s=0.2)
    bench.start_motion()
    bench.follows = False
    bench.observer.until(bench.state_is(State.FAULT), "the fault", 2.0)
    assert "shoulder_pan is" in bench.states[-1].reason and "from its command" in bench.states[-1].reason
    assert_no_jump(bench)
    sent = len(bench.commands)
    bench.observer.spin(0.2)
    assert len(bench.commands) == sent
    assert not bench.arm().success
    assert bench.observer.trigger("executor/reset").success
    assert bench.arm().success
    told = [text for text in bench.output.splitlines() if "fault" in text and " -> " in text]
    assert ["ERROR" in text for text in told] == [True, False]
    assert "armed -> fault: shoulder_pan is" in told[0] and "fault -> disarmed" in told[1]
    bench.observer.until(lambda: len(bench.commands) > sent, "commands")
    np.testing.assert_allclose(bench.commands[sent].position, bench.pose)  # from where the arm is
    bench.follows = True
    check_recovery(bench)
    assert_no_jump(bench, sent)


def test_joint_states_with_old_stamps_make_it_hold(bench: Bench) -> None:
    bench.start_motion()
    bench.lag_s = 1.0
    bench.observer.until(bench.state_is(State.HOLDING), "holding", 2.0)
    assert "joint states are 1.0" in bench.states[-1].reason
    bench.lag_s = 0.0
    check_recovery(bench)
    assert_no_jump(bench)


def test_irregular_joint_states_suffice(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(stale_after_s=0.5)
    bench.start_motion()
    seen = len(bench.states)
    for _ in range(8):
        bench.silent = True
        bench.observer.spin(0.1)
        bench.silent = False
        bench.observer.spin(0.02)
    assert {state.state for state in bench.states[seen:]} == {State.ARMED}
    bench.silent = True
    bench.observer.until(bench.state_is(State.HOLDING), "holding without any", 2.0)
    bench.silent = False
    check_recovery(bench)
    assert_no_jump(bench)
