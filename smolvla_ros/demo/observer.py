# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's own node: publishes the task, arms the executor on request, and records what the suite publishes.

It takes no part in the control loop: the suite runs the same without it.
"""

from __future__ import annotations

import math
from functools import partial

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from smolvla_ros.demo.observed_run import ObservedRun
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.nodes.executor_client import arm_after_fault
from smolvla_ros.nodes.service_caller import ServiceCaller
from smolvla_ros.observation import Frame
from smolvla_ros.robot import RobotSpec
from smolvla_ros.wire import frame_from_msg, serialized_header_stamp_ns

# The policy's settings, with a queue for the images that arrive while the screen is drawn.
IMAGES = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=30, reliability=ReliabilityPolicy.BEST_EFFORT)
SERVICE_S = 5.0


class DemoObserver(ClientNode):
    """Subscribes to a suite in the root namespace; a context manager."""

    def __init__(self, robot: RobotSpec, cameras: tuple[str, ...]) -> None:
        super().__init__("demo")
        self._rates_hz = {name: robot.camera(name).rate_hz for name in cameras}
        self._joint_names = robot.joint_names
        self._images: dict[str, bytes] = {}
        self.start_recording()

    def __enter__(self) -> DemoObserver:
        super().__enter__()
        for topic, record in (
            (topics.JOINT_STATES, lambda message: self.run.add_joint_state(message)),
            (topics.JOINT_COMMANDS, lambda message: self.run.add_command(message)),
            (topics.ACTION_CHUNK, lambda message: self.run.add_chunk(message)),
            (topics.EXECUTOR_STATE, lambda message: self.run.add_state(message)),
            (topics.TASK_PROGRESS, lambda message: self.run.add_task_progress(message)),
        ):
            self.node.create_subscription(topic.type, topic.name, record, topics.RELIABLE)
        topic = topics.IMAGE_COMPRESSED
        for camera in self._rates_hz:
            record = partial(self._record_image, camera)
            self.node.create_subscription(topic.type, f"{camera}/{topic.name}", record, IMAGES, raw=True)
        self._task = self.publisher(topics.TASK)
        self._services = ServiceCaller(self.node, "executor", {"arm": SetBool, "reset": Trigger})
        self._world = ServiceCaller(self.node, "simulated_world", {"reset": Trigger})
        return self

    def start_recording(self) -> None:
        """Discard what was recorded so far."""
        self.run = ObservedRun(self._joint_names, self._rates_hz)

    def missing_parts(self) -> list[str]:
        """The parts of the suite that do not work yet."""
        waiting = [f"camera {name}" for name, stamps in self.run.image_stamps_ns.items() if not stamps]
        if not self.run.measured.stamps_ns:
            waiting.append("arm")
        state = self.run.state
        if state is None or math.isnan(state.joint_states_age):  # it has received no joint states
            waiting.append("executor")
        if not self.node.count_subscribers(topics.CHUNK_REQUEST.name):  # it subscribes when activated
            waiting.append("policy")
        return waiting

    def publish_task(self, task: str) -> bool:
        """Publish the task; True once the executor has it."""
        if self.run.state is not None and self.run.state.task == task:
            return True
        if self._task.get_subscription_count():
            self._task.publish(String(data=task))
        return False

    def arm(self) -> str:
        """Arm the executor; returns an empty text, or the reason why it is not armed."""
        is_armed, reason = self._services.ask("arm", self.spin_until, SERVICE_S, data=True)
        return "" if is_armed else reason

    @property
    def has_fault(self) -> bool:
        """Whether the executor has stopped with a fault."""
        return self.run.state is not None and self.run.state.state == self.run.state.FAULT

    def go_on_after_fault(self) -> str:
        """Reset and arm the executor if it has a fault; returns an empty text, or the reason why it is not armed."""
        return arm_after_fault(self._services, self.spin_until, SERVICE_S) if self.has_fault else ""

    def next_objects(self) -> str:
        """Have the next objects put on the table; returns an instruction for them, empty if there are none."""
        is_done, message = self._world.ask("reset", self.spin_until, SERVICE_S)
        return message if is_done else ""

    def newest_frames(self) -> dict[str, Frame]:
        """The newest image of each camera that sent one."""
        kind = topics.IMAGE_COMPRESSED.type
        images = {camera: self._images[camera] for camera in self._rates_hz if camera in self._images}
        return {
            camera: frame_from_msg(deserialize_message(data, kind), camera) for camera, data in images.items()
        }

    def _record_image(self, camera: str, data: bytes) -> None:
        self._images[camera] = data
        # The stamp is read from the bytes: decoding each image only to count it would be slow.
        self.run.add_image(camera, serialized_header_stamp_ns(data))
