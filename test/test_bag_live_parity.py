# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live topics and their recording give the model exactly the same inputs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="live topics need ROS")

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String

from smolvla_ros.chunk import ChunkRequest, RequestReason
from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.episode_writer import EpisodeWriter, MessageTypes, StreamType
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.bag_replay import ObservedTopics, observations
from smolvla_ros.nodes.fast_dds import set_fast_dds
from smolvla_ros.nodes.messages import chunk_request_msg, compressed_image_msg, joint_state_msg
from smolvla_ros.nodes.policy_node import PolicyNode
from smolvla_ros.observation import Frame, Observation
from smolvla_ros.policy.robot_policy import RobotPolicy
from smolvla_ros.robot import Joints
from smolvla_ros.suite.ros_domain import reserve_domain_id

from .package_files import CALIBRATION, ROBOT, ROOT

CAMERAS = ("top", "wrist")
TASK = "würfel aufheben"
SLOP_S = 0.01  # below the period, so that matching does not depend on the order of arrival
PERIOD_S = 0.04
TIMEOUT_S = 20.0


class InputRecorder:
    """A ChunkModel that keeps its inputs."""

    name = "kept"
    image_keys = ("camera1", "camera2")
    state_dim = action_dim = 6

    def __init__(self) -> None:
        self.inputs: list[tuple[dict[str, Any], Any, str]] = []

    def predict_chunk(self, images: Any, state: Any, task: str, **_: Any) -> Any:
        self.inputs.append(({key: image.copy() for key, image in images.items()}, state.copy(), task))
        return np.zeros((50, 6), np.float32)

    def reset(self) -> None:
        pass


class RecordingPolicy(RobotPolicy):
    """A RobotPolicy that keeps the inputs of its model by the stamp of their observation."""

    def __init__(self) -> None:
        self.model = InputRecorder()
        super().__init__(self.model, ROBOT, CALIBRATION, CAMERAS)
        self.seen: dict[int, tuple[dict[str, Any], Any, str]] = {}

    def infer(self, observation: Observation, continuation: Any = None) -> Any:
        positions = super().infer(observation, continuation)
        self.seen[observation.stamp_ns] = self.model.inputs[-1]
        return positions


@pytest.fixture
def context() -> Iterator[Context]:
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    set_fast_dds()
    context = Context()
    rclpy.init(context=context, domain_id=reserve_domain_id())
    yield context
    rclpy.try_shutdown(context=context)


def test_the_policy_node_and_a_replayed_bag_give_the_model_the_same_inputs(
    context: Context, tmp_path: Path
) -> None:
    live = RecordingPolicy()
    policy_node = PolicyNode(
        context=context,
        parameter_overrides=[
            Parameter("robot", value=str(ROOT / "config" / "so100.yaml")),
            Parameter("policy", value="scripted"),
            Parameter("cameras", value=list(CAMERAS)),
            Parameter("sync_slop_s", value=SLOP_S),
            Parameter("niceness", value=0),
        ],
    )
    robot_node = Node("robot", context=context)
    executor = SingleThreadedExecutor(context=context)
    for node in (policy_node, robot_node):
        executor.add_node(node)
    policy_node.trigger_configure()
    policy_node._policy = live
    policy_node.trigger_activate()
    try:
        publish_and_record(robot_node, executor, live, tmp_path / "bag")
    finally:
        policy_node.trigger_shutdown()
        executor.shutdown()
        policy_node.destroy_node()
        robot_node.destroy_node()

    replayed = RecordingPolicy()
    observed = ObservedTopics({camera: f"{camera}/image_raw/compressed" for camera in CAMERAS})
    with Bag(tmp_path / "bag") as bag:
        for observation in observations(bag, observed, ROBOT.joint_names, 0.0, sync_slop_s=SLOP_S):
            replayed.infer(observation)
    assert len(live.seen) >= 5 and set(live.seen) <= set(replayed.seen)
    for stamp_ns, (images, state, task) in live.seen.items():
        other_images, other_state, other_task = replayed.seen[stamp_ns]
        assert task == other_task == TASK
        assert state.dtype == other_state.dtype and np.array_equal(state, other_state)
        assert images.keys() == other_images.keys() == {"camera1", "camera2"}
        for key, image in images.items():
            assert image.dtype == other_images[key].dtype and np.array_equal(image, other_images[key])
    first, last = (live.seen[stamp] for stamp in (min(live.seen), max(live.seen)))
    assert not np.array_equal(first[1], last[1])  # the inputs differ from each other
    assert not np.array_equal(first[0]["camera1"], first[0]["camera2"])


def publish_and_record(
    node: Node, executor: SingleThreadedExecutor, policy: RecordingPolicy, folder: Path
) -> None:
    """Publish a robot's topics, request chunks, and record what DDS delivers, until six chunks were inferred."""
    writer = EpisodeWriter(folder, MessageTypes(lambda name: ""))
    entries = [(topics.IMAGE_COMPRESSED, f"{name}/{topics.IMAGE_COMPRESSED.name}") for name in CAMERAS]
    entries += [(topics.JOINT_STATES, topics.JOINT_STATES.name), (topics.TASK, topics.TASK.name)]
    publishers, types = {}, {"joint_states": "sensor_msgs/msg/JointState", "task": "std_msgs/msg/String"}
    for topic, name in entries:
        kind = types.get(name, "sensor_msgs/msg/CompressedImage")
        writer.add_topic(f"/{name}", StreamType(kind, stamped=name != "task"))
        publishers[name] = node.create_publisher(topic.type, name, topic.publish)
        node.create_subscription(
            topic.type,
            name,
            lambda raw, name=name: writer.write(f"/{name}", time.time_ns(), raw),
            topics.RELIABLE,
            raw=True,
        )
    requests = node.create_publisher(
        topics.CHUNK_REQUEST.type, topics.CHUNK_REQUEST.name, topics.CHUNK_REQUEST.publish
    )
    rng = np.random.default_rng(0)
    deadline_s = time.monotonic() + TIMEOUT_S
    tick = 0
    while len(policy.seen) < 6 and time.monotonic() < deadline_s:
        now_ns = int(node.get_clock().now().nanoseconds)
        publishers["task"].publish(String(data=TASK))
        for camera in CAMERAS:
            picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
            message = compressed_image_msg(Frame(camera, now_ns, picture), "", 90)
            publishers[f"{camera}/{topics.IMAGE_COMPRESSED.name}"].publish(message)
        positions = np.array([joint.middle_rad for joint in ROBOT.joints]) + rng.normal(0, 0.1, 6)
        joints = Joints(now_ns - 1_000_000, positions, np.zeros(6), np.zeros(6))
        publishers["joint_states"].publish(joint_state_msg(ROBOT.joint_names, joints))
        if tick % 5 == 4:
            requests.publish(chunk_request_msg(ChunkRequest(now_ns, tick, TASK, RequestReason.START)))
        tick += 1
        spin_until_s = time.monotonic() + PERIOD_S
        while (left_s := spin_until_s - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left_s)
    for _ in range(20):
        executor.spin_once(timeout_sec=0.01)
    writer.finish({})
