# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node answers requests only from current observations."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="node tests need ROS 2")

from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from std_msgs.msg import String

from smolvla_ros.chunk import ActionChunk, ChunkRequest, RequestReason
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.chunk_inference import ChunkInference
from smolvla_ros.nodes.messages import chunk_request_msg, compressed_image_msg, joint_state_msg
from smolvla_ros.nodes.policy_loading import load_policy
from smolvla_ros.nodes.policy_node import PolicyNode
from smolvla_ros.observation import Frame
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.scripted import ScriptedPolicy
from smolvla_ros.robot import Joints
from smolvla_ros.simulation.layout import REST_RAD
from smolvla_ros.wire import chunk_from_msg, header_stamp_ns

from ..package_files import CALIBRATION_FILE, CHECKPOINT, ROBOT, ROBOT_FILE

CAMERAS = ("top", "wrist")
LOADED_S = 30.0  # to load a checkpoint; a repeated service call would load it twice


class Robot:
    """Cameras, arm and executor: feeds the policy node and requests chunks."""

    def __init__(self, observer: Any) -> None:
        self.observer = observer
        self.spec = ROBOT
        self.pose = np.array([joint.middle_rad for joint in self.spec.joints])
        self.chunks = observer.collect(topics.ACTION_CHUNK)
        self.lag_s = dict.fromkeys((*CAMERAS, "joints"), 0.0)  # age of the stamps of each stream
        self.silent: set[str] = set()
        self._images = {
            name: observer.publisher(topics.IMAGE_COMPRESSED, f"{name}/image_raw/compressed")
            for name in CAMERAS
        }
        self._joint_states = observer.publisher(topics.JOINT_STATES)
        self._requests = observer.publisher(topics.CHUNK_REQUEST)
        self._picture = np.full((48, 64, 3), 90, np.uint8)
        observer.node.create_timer(0.033, self._feed)

    def connect(self) -> None:
        ends = (*self._images.values(), self._joint_states, self._requests)
        self.observer.until(
            lambda: all(end.get_subscription_count() for end in ends), "the policy to listen", 30.0
        )

    def _feed(self) -> None:
        now_ns = self.observer.now_ns()
        stamps = {name: now_ns - round(lag_s * 1e9) for name, lag_s in self.lag_s.items()}
        for name, publisher in self._images.items():
            if name not in self.silent:
                publisher.publish(compressed_image_msg(Frame(name, stamps[name], self._picture), "", 90))
        joints = Joints(stamps["joints"], self.pose, np.zeros(6), np.zeros(6))
        self._joint_states.publish(joint_state_msg(self.spec.joint_names, joints))

    def request(
        self,
        request_id: int = 1,
        task: str = "pick up the red cube",
        reason: RequestReason = RequestReason.START,
        **plan: Any,
    ) -> int:
        """Publish a request; returns its time."""
        now_ns = self.observer.now_ns()
        request = ChunkRequest(now_ns, request_id, task, reason, **plan)
        self._requests.publish(chunk_request_msg(request))
        return int(now_ns)

    def chunk(self, request_id: int, **plan: Any) -> ActionChunk:
        """Publish a request and return the chunk that answers it."""
        self.request(request_id, **plan)
        self.observer.until(
            lambda: self.chunks and self.chunks[-1].request_id == request_id, "a chunk", timeout_s=30.0
        )
        return chunk_from_msg(self.chunks[-1])

    def set_parameters(self, **values: Any) -> Any:
        """Set parameters of the policy node in one call, which may load a checkpoint."""
        return self.observer.set_parameters("policy", LOADED_S, **values)


@pytest.fixture
def robot(observer: Any) -> Iterator[Robot]:
    yield Robot(observer)


def scripted(start: Any, **parameters: Any) -> Any:
    return start("nodes.policy_node", policy="scripted", cameras=CAMERAS, **parameters)


def test_a_request_is_answered_from_the_newest_observation(robot: Robot, start: Any) -> None:
    scripted(start)
    robot.connect()
    robot.observer.spin(0.3)
    asked_ns = robot.request(request_id=7)
    robot.observer.until(lambda: robot.chunks, "a chunk")
    chunk = chunk_from_msg(robot.chunks[0])
    assert chunk.request_id == 7 and chunk.task == "pick up the red cube"
    assert chunk.joint_names == robot.spec.joint_names and chunk.positions.shape == (50, 6)
    assert abs(chunk.observation_stamp_ns - asked_ns) < 200_000_000
    assert chunk.step_duration_ns == round(1e9 / 30)
    # The executor alone subscribes to `task`.
    assert robot.observer.node.count_subscribers("task") == 0


def test_chunks_are_published_without_a_request_for_the_newest_task(robot: Robot, start: Any) -> None:
    scripted(start, chunk_rate_hz=10.0)
    tasks = robot.observer.publisher(topics.TASK)
    robot.connect()
    robot.observer.until(tasks.get_subscription_count, "a listener of tasks")
    robot.chunk(1)  # from now on it has messages
    robot.chunks.clear()
    robot.observer.spin(0.3)
    assert not robot.chunks  # there is no task
    tasks.publish(String(data="wipe the table"))
    robot.observer.until(lambda: len(robot.chunks) >= 6, "chunks without a request")
    chunks = [chunk_from_msg(message) for message in robot.chunks]
    assert {(chunk.request_id, chunk.task) for chunk in chunks} == {(0, "wipe the table")}
    sent_s = [header_stamp_ns(message) / 1e9 for message in robot.chunks]
    assert (sent_s[-1] - sent_s[0]) / (len(sent_s) - 1) > 0.07
    assert min(np.diff([chunk.observation_stamp_ns for chunk in chunks])) > 0
    robot.request(7, "pick up the red cube")
    robot.observer.until(
        lambda: any(chunk.request_id == 7 for chunk in robot.chunks), "the answer to a request"
    )
    tasks.publish(String(data=""))
    robot.observer.spin(0.3)
    robot.chunks.clear()
    robot.observer.spin(0.3)
    assert not robot.chunks
    executor = robot.observer.publisher(topics.ACTIVE_TASK)
    executor.publish(String(data="close the drawer"))
    robot.observer.until(
        lambda: robot.chunks and robot.chunks[-1].task == "close the drawer", "the executor's task"
    )
    robot.observer.until(lambda: not tasks.get_subscription_count(), "task to be left to the executor")


def test_during_inference_the_newest_request_waits_for_a_newer_observation(robot: Robot, start: Any) -> None:
    scripted(start, latency_s=0.8)
    robot.connect()
    robot.chunk(1000)  # from now on it has messages, and starts at once
    robot.chunks.clear()
    tasks = {1: "wipe the table", 2: "wipe the floor", 3: "pick up the red cube"}
    for request_id, task in tasks.items():
        asked_ns = robot.request(request_id, task)
        robot.observer.spin(0.1)
    robot.observer.until(
        lambda: robot.chunks and robot.chunks[-1].request_id == 3, "the answer to the last request"
    )
    first, latest = (chunk_from_msg(message) for message in robot.chunks)
    assert first.request_id < latest.request_id
    assert [chunk.task for chunk in (first, latest)] == [tasks[chunk.request_id] for chunk in (first, latest)]
    assert latest.observation_stamp_ns > asked_ns + 200_000_000  # callbacks did not wait for the model


def test_an_incomplete_or_untimely_observation_is_reported_and_not_used(robot: Robot, start: Any) -> None:
    program = scripted(start)
    robot.silent.add("wrist")
    robot.connect()
    robot.request()
    robot.observer.until(lambda: "nothing has arrived from wrist;" in program.output, "a complaint")
    robot.silent.clear()
    robot.lag_s.update(dict.fromkeys(robot.lag_s, -2.0))
    robot.observer.until(lambda: "in the future" in program.output, "a complaint of the stamps")
    assert not robot.chunks
    # the same request is answered when the messages are current
    robot.lag_s.update(dict.fromkeys(robot.lag_s, 0.0))
    robot.observer.until(lambda: robot.chunks, "a chunk after all")


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    return CHECKPOINT


@pytest.fixture(scope="module")
def other_checkpoint(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """The same policy under another name."""
    return Path(shutil.copytree(checkpoint, tmp_path_factory.mktemp("swap") / "another"))


def smolvla(start: Any, checkpoint: Path, **parameters: Any) -> Any:
    return start(
        "nodes.policy_node", checkpoint=checkpoint, calibration=CALIBRATION_FILE, threads=1, **parameters
    )


def test_a_checkpoint_that_does_not_fit_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"checkpoint": ""}, "parameter `checkpoint` is empty"),
        ({"checkpoint": str(checkpoint)}, "calibration"),
        ({"checkpoint": str(checkpoint), "cameras": ("side",)}, "camera3"),
    ]
    for parameters, message in cases:
        with pytest.raises(PolicyError, match=message):
            load_policy(PolicyConfig(**parameters), ROBOT, get_logger("test"))


def test_statistics_in_other_units_make_the_node_exit_with_one_finding(
    start: Any, checkpoint: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    radians = Path(shutil.copytree(checkpoint, tmp_path / "radians"))
    for file in radians.glob("policy_*.safetensors"):
        save_file({key: values / 57.3 for key, values in load_file(file).items()}, file)
    program = smolvla(start, radians)
    assert program.wait(60.0) == 1
    refusal = "cannot configure: checkpoint 'radians' does not fit this robot: units: the statistics look like radians"
    assert program.output.count(refusal) == 1 and "Traceback" not in program.output


def test_smolvla_answers_until_another_valid_checkpoint_replaces_it(
    robot: Robot, start: Any, checkpoint: Path, other_checkpoint: Path, tmp_path: Path
) -> None:
    program = smolvla(start, checkpoint)
    robot.pose[:] = REST_RAD
    robot.connect()
    robot.observer.spin(0.3)
    chunk = robot.chunk(1)
    assert chunk.policy == checkpoint.name and chunk.positions.shape == (16, 6)
    assert chunk.step_duration_ns == 100_000_000  # as in the data that it was trained on
    assert np.abs(chunk.positions[0] - robot.pose).max() < 0.5
    assert (chunk.positions > robot.spec.lower_rad - 1).all()
    assert (chunk.positions < robot.spec.upper_rad + 1).all()

    broken = Path(shutil.copytree(checkpoint, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"cut off")
    for values, reason in (
        ({"checkpoint": str(tmp_path / "nowhere")}, "nowhere"),
        ({"checkpoint": str(broken)}, "model.safetensors"),
        ({"cameras": ["side"]}, "Without a partner: camera3"),
        ({"checkpoint": str(checkpoint), "robot": "another.yaml"}, "robot cannot change"),
    ):
        result = robot.set_parameters(**values)
        assert not result.successful and reason in result.reason
    assert robot.chunk(2).policy == checkpoint.name

    result = robot.set_parameters(checkpoint=str(other_checkpoint))
    assert result.successful, result.reason
    assert robot.chunk(3).policy == "another"
    assert f"'another' replaces '{checkpoint.name}'" in program.output
    assert robot.set_parameters(cameras=["top"]).successful
    robot.silent.add("wrist")  # not used any more
    robot.observer.spin(0.3)
    robot.chunk(4)


def test_with_looks_ahead_regular_requests_are_answered_from_images_encoded_before(
    robot: Robot, start: Any, checkpoint: Path
) -> None:
    diagnostics = robot.observer.collect(topics.DIAGNOSTICS)
    smolvla(start, checkpoint, looks_ahead=True)
    robot.pose[:] = REST_RAD
    robot.connect()
    robot.observer.spin(0.3)
    chunk = robot.chunk(1)

    def counted() -> int:
        values = [
            v
            for m in diagnostics[-5:]
            for s in m.status
            for v in s.values
            if v.key.startswith("chunks of images")
        ]
        return int(values[-1].value) if values else 0

    for request_id in range(2, 40):
        due_ns = chunk.observation_stamp_ns + 800_000_000
        robot.observer.spin(max(due_ns - robot.observer.now_ns(), 0) / 1e9)
        chunk = robot.chunk(request_id, reason=RequestReason.THRESHOLD)
        if counted() >= 2:
            break
    assert counted() >= 2
    assert chunk.positions.shape == (16, 6)
    stamps = [chunk_from_msg(message).observation_stamp_ns for message in robot.chunks]
    assert min(np.diff(stamps)) > 0  # each chunk from images of its own


def test_no_chunk_is_inferred_from_a_pose_outside_the_training_data(
    robot: Robot, start: Any, checkpoint: Path
) -> None:
    program = smolvla(start, checkpoint, units="degrees", max_pose_sigma=5.0)
    robot.pose[:] = REST_RAD
    robot.pose[3] = robot.spec.joints[3].middle_rad  # wrist_flex
    robot.connect()
    robot.request()
    message = "this pose is 9 sigma from anything the policy saw: wrist_flex at 0"
    robot.observer.until(lambda: message in program.output, f"the log to say '{message}'")
    robot.observer.spin(0.3)
    assert not robot.chunks
    robot.pose[:] = REST_RAD
    robot.observer.until(lambda: robot.chunks, "a chunk once the arm stands where the data are", 30.0)
    robot.pose[3] = 0.0  # after the first chunk any pose is allowed
    robot.observer.spin(0.3)
    robot.chunk(2)
    assert "could as well be" not in program.output  # the units are confirmed


def test_a_request_made_while_a_checkpoint_loads_is_answered_by_it(
    robot: Robot, start: Any, checkpoint: Path
) -> None:
    program = scripted(start, calibration=CALIBRATION_FILE, latency_s=1.0)
    robot.pose[:] = REST_RAD
    robot.connect()
    robot.observer.spin(0.3)
    robot.request(1)
    robot.observer.spin(0.3)  # the scripted policy infers now; its chunk is dropped
    assert robot.set_parameters(policy="smolvla", checkpoint=str(checkpoint)).successful
    robot.observer.until(lambda: robot.chunks, "a chunk", 30.0)
    assert [(chunk.request_id, chunk.policy) for chunk in robot.chunks] == [(1, checkpoint.name)]
    assert "cannot infer" not in program.output  # because of messages that are old after loading


def test_an_expert_that_replaces_another_is_told_the_state_of_the_world(robot: Robot, start: Any) -> None:
    pytest.importorskip("mujoco")
    from smolvla_ros.simulation.tasks.instruction import random_task
    from smolvla_ros.simulation.world import World

    layout, task = random_task("pick_place", 6)
    state = World(robot.spec.urdf_path, layout).save().tolist()
    states = robot.observer.publisher(topics.WORLD_STATE)
    message = topics.WORLD_STATE.type(layout="pick_place", seed=6, state=state)
    robot.observer.node.create_timer(0.1, lambda: states.publish(message))
    start("nodes.policy_node", policy="expert")
    robot.observer.until(states.get_subscription_count, "the policy to listen", 30.0)
    robot.observer.spin(0.3)
    robot.chunk(1, task=task.instruction)
    assert robot.set_parameters(checkpoint="of no use to it").successful
    robot.observer.spin(0.3)
    robot.chunk(2, task=task.instruction)


def test_a_policy_that_was_replaced_is_not_kept_in_memory() -> None:
    class LookingPolicy(ScriptedPolicy):
        def look(self, _observation: Any) -> bool:
            return True

    inference, config, now_ns = ChunkInference(ROBOT, get_logger("test")), PolicyConfig(), 10**18
    still = np.zeros(6)
    seen = (joint_state_msg(ROBOT.joint_names, Joints(now_ns, still, still, still)),)
    request = ChunkRequest(now_ns, 1, "wipe", RequestReason.START)
    policy = LookingPolicy(ROBOT)
    inference.infer(policy, config, request, seen, {}, now_ns)
    inference.look(policy, config, seen, now_ns)
    kept = weakref.ref(policy)
    del policy
    inference.policy_replaced()
    assert kept() is None


def test_a_node_that_is_cleaned_up_keeps_no_policy_in_memory(observer: Any) -> None:
    values = {"robot": str(ROBOT_FILE), "policy": "scripted"}
    node = PolicyNode(
        context=observer.node.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    try:
        for _ in range(2):
            node.trigger_configure()
            node.trigger_activate()
            kept = weakref.ref(node._policy)
            node.trigger_deactivate()
            node.trigger_cleanup()
            assert kept() is None
    finally:
        node.destroy_node()


@pytest.fixture
def flow_checkpoint(tmp_path: Path) -> Path:
    """The golden checkpoint, whose chunks depend on their noise, with statistics that fit the robot (degrees)."""
    from safetensors.numpy import save_file

    folder = Path(shutil.copytree("test/data/golden/era_b", tmp_path / "flow"))
    statistics = {"mean": np.array([0, 0, 0, 0, 0, 50], np.float32), "std": np.full(6, 20, np.float32)}
    features = ("observation.state", "action")
    for file in folder.glob("policy_*.safetensors"):
        save_file({f"{f}.{name}": value for f in features for name, value in statistics.items()}, file)
    return folder


def test_with_rtc_a_chunk_continues_the_plan_that_is_being_executed(
    robot: Robot, start: Any, flow_checkpoint: Path
) -> None:
    smolvla(start, flow_checkpoint, backbone="test/data/golden/vlm")
    robot.connect()
    robot.observer.spin(0.3)
    plan: dict[str, Any] = {
        "joint_names": robot.spec.joint_names,
        "prefix": robot.chunk(1).positions[20:],
        "expected_delay_s": 0.2,
    }

    def gap_rad(request_id: int) -> float:
        """How far a chunk is from the plan while that is executed: from the request on, for the expected delay."""
        plan["prefix_stamp_ns"] = robot.observer.now_ns()
        chunk = robot.chunk(request_id, **plan)
        request = ChunkRequest(0, request_id, chunk.task, RequestReason.THRESHOLD, **plan)
        rows = request.prefix_on_grid(chunk.observation_stamp_ns, chunk.step_duration_ns)
        return float(np.abs(chunk.positions[:6] - rows[:6]).max())

    assert gap_rad(2) > 0.5
    assert robot.set_parameters(rtc=True, rtc_execution_horizon=12).successful
    assert gap_rad(3) < 0.1
