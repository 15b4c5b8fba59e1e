# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node with its checkpoint on a policy server: the same chunks, also when a server is killed."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="node tests need ROS 2")
pytest.importorskip("grpc", reason="needs the extra `server`")

from rclpy.logging import get_logger
from std_msgs.msg import String

from smolvla_ros.image import decode_compressed, encode_jpeg
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.policy_loading import load_model, load_policy, load_spec
from smolvla_ros.observation import Frame, Observation
from smolvla_ros.policy.policy import Continuation, Policy
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.preflight.preflight import Expectations
from smolvla_ros.remote.server import PolicyServer, ServerSettings
from smolvla_ros.robot import Joints
from smolvla_ros.simulation.layout import REST_RAD

from ..package_files import CALIBRATION_FILE, CHECKPOINT, ROBOT
from .conftest import is_complete, programs_in

TASK = "pick up the red cube"
LOADED_S = 60.0
LOADS = {"calibration": CALIBRATION_FILE, "threads": 1, "noise_scale": 0.5}


Start = Callable[..., Any]


@pytest.fixture(scope="module")
def servers(ros: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Any, str]]]:
    """Two policy servers of the small checkpoint, with their addresses."""
    programs = programs_in(tmp_path_factory.mktemp("servers"))
    start = next(programs)
    options = ("--address", "127.0.0.1:0", "--threads", "1", "--device", "cpu", "--dtype", "float32")
    started = [
        start("tools.policy_server", str(CHECKPOINT), *options, "--max-together", "1") for _ in range(2)
    ]
    for server in started:
        server.wait_for("Ctrl-C ends", LOADED_S)
    yield [(server, server.output.split("' at ")[1].split(";")[0]) for server in started]
    next(programs, None)


def start_policy(start: Start, servers: str, **parameters: Any) -> Any:
    """A policy node that asks servers."""
    given = {"calibration": CALIBRATION_FILE, "max_pose_sigma": 0.0, "niceness": 0} | parameters
    return start("nodes.policy_node", policy="remote", server=servers, server_timeout_s=5.0, **given)


def start_arm(start: Start, port: Any) -> None:
    start("nodes.arm_node", port=port)
    start("nodes.executor_node", mode="armed")


def start_cameras(start: Start) -> None:
    for camera in ("top", "wrist"):
        start(
            "nodes.camera_node",
            "--ros-args", "-r", f"__ns:=/{camera}", "-r", "joint_states:=/joint_states",
            camera=camera, source="rendered", rate_hz=10.0,
        )  # fmt: skip


def moved_rad(measured: list[Any]) -> float:
    """How far the joint that moved most has moved."""
    positions = [state.position for state in filter(is_complete, measured)]
    return float(np.ptp(np.array(positions), axis=0).max())


def infer_all(policy: Policy) -> list[Any]:
    """Chunks of three observations, the last one with a plan to continue."""
    draw = np.random.default_rng(0)
    chunks: list[Any] = []
    for stamp_ns in range(3):
        frames = {}
        for camera in policy.cameras:
            sent = encode_jpeg(draw.integers(0, 255, (480, 640, 3), np.uint8))
            frames[camera] = Frame(camera, stamp_ns, decode_compressed(sent), sent)
        joints = Joints(stamp_ns, np.array(REST_RAD) + 0.01 * stamp_ns, np.zeros(6))
        continuation = Continuation(chunks[-1], 2, 8) if stamp_ns == 2 else None
        chunks.append(policy.infer(Observation(frames, joints, TASK), continuation))
    return chunks


def test_remote_chunks_are_the_local_ones_bit_for_bit(servers: list[tuple[Any, str]]) -> None:
    _, address = servers[0]
    logger = get_logger("test")
    remote = load_policy(
        PolicyConfig(policy="remote", server=address, server_timeout_s=30.0, **LOADS), ROBOT, logger
    )
    local = load_policy(
        PolicyConfig(checkpoint=str(CHECKPOINT), device="cpu", dtype="float32", **LOADS), ROBOT, logger
    )
    assert (remote.name, remote.cameras, remote.rate_hz) == (local.name, local.cameras, local.rate_hz)
    far = np.array(REST_RAD) + 2.0
    assert str(remote.check_pose(far, 5.0)) == str(local.check_pose(far, 5.0)) != "None"
    for _ in range(2):
        for there, here in zip(infer_all(remote), infer_all(local), strict=True):
            assert np.array_equal(there, here)
        remote.reset()
        local.reset()


def test_settings_that_only_the_server_has_are_not_ignored_silently(
    servers: list[tuple[Any, str]], caplog: pytest.LogCaptureFixture
) -> None:
    given = {"num_steps": 5, "dtype": "float32", **LOADS}
    config = PolicyConfig(policy="remote", server=servers[0][1], server_timeout_s=30.0, **given)
    load_policy(config, ROBOT, logging.getLogger("test"))
    assert "the policy server loads the checkpoint: dtype, num_steps" in caplog.text


def test_the_arm_moves_by_remote_chunks_and_goes_on_with_the_next_server_when_one_is_killed(
    observer: Any, start: Any, emulated_arm: Any, servers: list[tuple[Any, str]]
) -> None:
    states, chunks = observer.collect(topics.EXECUTOR_STATE), observer.collect(topics.ACTION_CHUNK)
    measured = observer.collect(topics.JOINT_STATES)
    policy = start_policy(start, ",".join(address for _, address in servers))
    start_arm(start, emulated_arm[0])
    start_cameras(start)
    task = observer.publisher(topics.TASK)
    observer.until(lambda: task.get_subscription_count() and measured and states, "the suite", 60.0)
    task.publish(String(data=TASK))
    observer.until(lambda: len(chunks) >= 3 and states[-1].chunks_accepted >= 3, "three chunks", 60.0)
    assert {chunk.policy for chunk in chunks} == {CHECKPOINT.name}
    assert moved_rad(measured) > 0.02

    accepted = states[-1].chunks_accepted
    servers[0][0].kill()
    observer.until(lambda: states[-1].chunks_accepted > accepted + 1, "chunks of the other server", 60.0)
    assert policy.stop(signal.SIGINT) == 0 and "Traceback" not in policy.output


@pytest.fixture(scope="module")
def late_server() -> Iterator[Callable[[str], None]]:
    """`late_server(address)`: starts a policy server there, of a checkpoint that is loaded already."""
    config = PolicyConfig(checkpoint=str(CHECKPOINT), device="cpu", dtype="float32", threads=1)
    spec = load_spec(config)
    model = load_model(spec, config)
    started: list[PolicyServer] = []

    def start(address: str) -> None:
        settings = ServerSettings(address=address, max_together=1)
        started.append(PolicyServer(model, Expectations.of(spec), spec.digest(), settings))
        started[-1].start()

    yield start
    for server in started:
        server.stop()


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def test_a_robot_that_is_started_before_its_server_waits_for_it_and_holds_the_arm(
    observer: Any, start: Any, emulated_arm: Any, late_server: Callable[[str], None]
) -> None:
    states, chunks = observer.collect(topics.EXECUTOR_STATE), observer.collect(topics.ACTION_CHUNK)
    measured, health = observer.collect(topics.JOINT_STATES), observer.collect(topics.DIAGNOSTICS)
    address = free_address()
    policy = start_policy(start, address)
    start_arm(start, emulated_arm[0])
    start_cameras(start)
    task = observer.publisher(topics.TASK)
    observer.until(lambda: task.get_subscription_count() and measured and states, "the suite", 60.0)
    task.publish(String(data=TASK))
    expected = (
        f"waiting: no policy server answers ({address}: Connection refused); start it there: "
        f"smolvla-policy-server CHECKPOINT --address {address}"
    )
    policy.wait_for(expected)
    observer.until(lambda: any(s.message == expected for a in health for s in a.status), "diagnostics")
    assert policy.running and moved_rad(measured) < 0.01 and not chunks

    late_server(address)
    policy.wait_for("active")
    observer.until(lambda: moved_rad(measured) > 0.02 and states[-1].chunks_accepted, "the arm to move", 60.0)


def test_a_robot_that_waits_for_its_server_can_be_stopped(start: Any) -> None:
    policy = start_policy(start, free_address())
    policy.wait_for("waiting: no policy server answers")
    assert policy.stop(signal.SIGINT) == 0


def test_a_robot_with_a_wrong_address_ends_and_says_why(start: Any) -> None:
    policy = start_policy(start, "nobody.invalid:50051", credentials="insecure")
    assert policy.wait() == 1
    assert "the name 'nobody.invalid' is not known" in policy.output and "waiting" not in policy.output
