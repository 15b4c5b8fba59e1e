# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishes an episode of a LeRobot dataset at its own pace: what was observed, or the actions as chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from std_msgs.msg import String

import smolvla_ros.msg as msg
from smolvla_ros.chunk import ActionChunk
from smolvla_ros.dataset.bag_export import JPEG_QUALITY, images_by_camera, positions_rad
from smolvla_ros.dataset.lerobot_format import ACTION, STATE
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.nodes.messages import action_chunk_msg, compressed_image_msg, joint_state_msg
from smolvla_ros.observation import NANOSECONDS, Frame
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.units import MotorCalibration
from smolvla_ros.wire import header_stamp_ns

CHUNK_ACTIONS = 50  # as of a policy; the next chunk is sent when half of it is left
TIMEOUT_S = 10.0
DISCOVERY_S = 1.0
LAST_MESSAGES_S = 0.3  # until the last messages have arrived
MAX_STATE_GAP_S = 0.4  # the executor publishes its state ten times a second
FOLLOWING_STATES = (msg.ExecutorState.SHADOW, msg.ExecutorState.ARMED, msg.ExecutorState.HOLDING)
ARM_COMMAND = "ros2 service call /executor/arm std_srvs/srv/SetBool '{data: true}'"


class PlayError(RuntimeError):
    """The episode cannot be played; the message says why."""


class DatasetPlayer:
    """Publishes one episode."""

    def __init__(
        self,
        client: ClientNode,
        dataset: LeRobotDataset,
        episode: int,
        robot: RobotSpec,
        calibration: Mapping[str, MotorCalibration] | None,
    ) -> None:
        self._client = client
        self._dataset, self._episode, self._robot = dataset, episode, robot
        self._frames = dataset.frames(episode)
        self._state_rad = positions_rad(dataset, STATE, self._frames.state, robot, calibration)
        self._action_rad = positions_rad(dataset, ACTION, self._frames.action, robot, calibration)
        self._states: list[msg.ExecutorState] = []  # the newest one
        self._left_out = ""  # why the executor left out a part of the plan

    def play_observations(self) -> int:
        """Publish images, joint states and tasks; returns the number of frames. Raises PlayError."""
        joints = self._client.publisher(topics.JOINT_STATES)
        tasks = self._client.publisher(topics.TASK)
        cameras = {
            name: (self._client.publisher(topics.IMAGE_COMPRESSED, f"{name}/image_raw/compressed"), images)
            for name, images in images_by_camera(self._dataset, self._episode, self._robot).items()
        }
        self._client.spin(DISCOVERY_S)
        for publisher in (joints, *(publisher for publisher, _ in cameras.values())):
            self._check_only_publisher(publisher, "stop the arm and camera nodes, or play --actions")
        start_ns, task = self._client.now_ns(), None
        for k, state in enumerate(self._state_rad):
            due_ns = start_ns + k * NANOSECONDS // self._dataset.fps
            frames = [Frame(name, due_ns, next(images)) for name, (_, images) in cameras.items()]
            self._spin_until_ns(due_ns)
            if self._frames.tasks[k] != task:
                task = self._frames.tasks[k]
                tasks.publish(String(data=task))
            for frame in frames:
                optical_frame = f"{frame.camera}_camera_optical_frame"
                cameras[frame.camera][0].publish(compressed_image_msg(frame, optical_frame, JPEG_QUALITY))
            zeros = state * 0.0
            joints.publish(joint_state_msg(self._robot.joint_names, Joints(due_ns, state, zeros, zeros)))
        self._client.spin(LAST_MESSAGES_S)
        return len(self._state_rad)

    def play_actions(self) -> int:
        """Send the actions to the executor as chunks; returns the number of actions.

        Raises PlayError, at the end also when the executor held the arm meanwhile: what was due then is left out.
        """
        chunks, tasks = self._client.publisher(topics.ACTION_CHUNK), self._client.publisher(topics.TASK)
        self._client.subscribe(topics.EXECUTOR_STATE, self._on_state)
        self._wait(lambda: self._states and chunks.get_subscription_count(), "no executor is running")
        self._check_only_publisher(chunks, "stop the policy node")
        self._check_following()
        task = self._frames.tasks[0]
        tasks.publish(String(data=task))
        self._wait(lambda: self._states[-1].task == task, f"the executor does not accept the task '{task}'")
        accepted, self._left_out = self._states[-1].chunks_accepted, ""
        step_ns, start_ns = NANOSECONDS // self._dataset.fps, self._client.now_ns()
        for number, first in enumerate(range(0, max(len(self._action_rad) - 1, 1), CHUNK_ACTIONS // 2), 1):
            stamp_ns = start_ns + first * step_ns
            self._spin_until_ns(stamp_ns)
            self._check_following()
            chunk = ActionChunk(
                positions=self._action_rad[first : first + CHUNK_ACTIONS],
                joint_names=self._robot.joint_names,
                observation_stamp_ns=stamp_ns,
                step_duration_ns=step_ns,
                chunk_id=number,
                request_id=0,
                task=task,
                policy=f"{self._dataset.root.name}, episode {self._episode}",
            )
            chunks.publish(action_chunk_msg(chunk, self._client.now_ns()))
            self._wait(
                lambda: self._states[-1].chunks_accepted > accepted,  # noqa: B023
                "the executor refuses the chunks; its log says why",
            )
            accepted = self._states[-1].chunks_accepted
        self._spin_until_ns(start_ns + len(self._action_rad) * step_ns)
        self._client.spin(LAST_MESSAGES_S)
        if self._left_out:
            raise PlayError(f"the arm has left out a part of the episode: {self._left_out}")
        return len(self._action_rad)

    def _on_state(self, state: msg.ExecutorState) -> None:
        if state.state == msg.ExecutorState.HOLDING and state.queue_length:
            self._left_out = self._left_out or state.reason
        if self._states and self._states[-1].queue_length:
            gap_s = (header_stamp_ns(state) - header_stamp_ns(self._states[-1])) / NANOSECONDS
            if gap_s > MAX_STATE_GAP_S:
                self._left_out = self._left_out or f"the executor stood still for {gap_s:.1f} s"
        self._states[:] = [state]

    def _check_following(self) -> None:
        if self._states[-1].state not in FOLLOWING_STATES:
            reason = self._states[-1].reason or "it is disarmed"
            raise PlayError(f"the executor follows nothing: {reason}. To arm it: {ARM_COMMAND}")

    def _check_only_publisher(self, publisher: Any, remedy: str) -> None:
        if self._client.node.count_publishers(publisher.topic_name) > 1:
            raise PlayError(f"another node publishes on {publisher.topic_name}; {remedy}")

    def _wait(self, condition: Callable[[], Any], problem: str) -> None:
        if not self._client.spin_until(condition, TIMEOUT_S):
            raise PlayError(problem)

    def _spin_until_ns(self, due_ns: int) -> None:
        """Run callbacks until this time of the node's clock."""
        while (left_ns := due_ns - self._client.now_ns()) > 0:
            self._client.spin(left_ns / NANOSECONDS)
