# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plays an episode of a LeRobot dataset (v3.0) onto topics, at its own pace.

play_dataset my_dataset --episode 3 --calibration my_arm.json
    what was observed: images, joint states and the task, for a policy node to answer from; the executor disarmed
play_dataset my_dataset --episode 3 --calibration my_arm.json --actions
    what was done, as chunks for an armed executor: the arm repeats the episode, softly and within its limits
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

import smolvla_ros.msg as msg
from smolvla_ros.chunk import ActionChunk
from smolvla_ros.dataset.bag_export import JPEG_QUALITY, images_by_camera, positions_rad
from smolvla_ros.dataset.lerobot_format import ACTION, STATE
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.fast_dds import set_fast_dds
from smolvla_ros.nodes.messages import action_chunk_msg, compressed_image_msg, joint_state_msg
from smolvla_ros.observation import NANOSECONDS, Frame
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.suite.command_line import ROBOT, add_options, exit_on_errors, load_robot_and_calibration
from smolvla_ros.units import MotorCalibration

CHUNK = 50  # actions, as a policy's; the next one is sent when half of it is left
PATIENCE_S = 10.0
FAREWELL_S = 0.3  # the last messages are on their way when the publishers go
FOLLOWING = (msg.ExecutorState.SHADOW, msg.ExecutorState.ARMED, msg.ExecutorState.HOLDING)
ARM = "ros2 service call /executor/arm std_srvs/srv/SetBool '{data: true}'"

Calibration = Mapping[str, MotorCalibration]


class PlayError(RuntimeError):
    """The episode cannot be played now; the message says what stands in the way."""


class Player:
    """Publishes one episode from a node of its own."""

    def __init__(
        self, dataset: LeRobotDataset, episode: int, robot: RobotSpec, calibration: Calibration | None
    ) -> None:
        self._dataset, self._episode, self._robot = dataset, episode, robot
        self._frames = dataset.frames(episode)
        self._state_rad = positions_rad(dataset, STATE, self._frames.state, robot, calibration)
        self._action_rad = positions_rad(dataset, ACTION, self._frames.action, robot, calibration)
        self._node = Node("play_dataset")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._states: list[msg.ExecutorState] = []  # the newest one

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()

    def play_observations(self) -> int:
        """Publish images, joint states and tasks; returns how many frames. Raises PlayError."""
        joints = self._publisher(topics.JOINT_STATES)
        tasks = self._publisher(topics.TASK)
        cameras = {
            name: (self._publisher(topics.IMAGE_COMPRESSED, f"{name}/image_raw/compressed"), images)
            for name, images in images_by_camera(self._dataset, self._episode, self._robot).items()
        }
        self._spin(1.0)  # discovery
        for publisher in (joints, *(publisher for publisher, _ in cameras.values())):
            self._refuse_others(publisher, "stop the arm and camera nodes, or play --actions")
        start_ns, task = self._now_ns(), None
        for k, state in enumerate(self._state_rad):
            due_ns = start_ns + k * NANOSECONDS // self._dataset.fps
            frames = [Frame(name, due_ns, next(images)) for name, (_, images) in cameras.items()]
            self._spin((due_ns - self._now_ns()) / NANOSECONDS)
            if self._frames.tasks[k] != task:
                task = self._frames.tasks[k]
                tasks.publish(String(data=task))
            for frame in frames:
                optical_frame = f"{frame.camera}_camera_optical_frame"
                cameras[frame.camera][0].publish(compressed_image_msg(frame, optical_frame, JPEG_QUALITY))
            still = state * 0.0
            joints.publish(joint_state_msg(self._robot.joint_names, Joints(due_ns, state, still, still)))
        self._spin(FAREWELL_S)
        return len(self._state_rad)

    def play_actions(self) -> int:
        """Send the actions as chunks to the executor, which follows them; returns how many. Raises PlayError."""
        chunks, tasks = self._publisher(topics.ACTION_CHUNK), self._publisher(topics.TASK)
        states = topics.EXECUTOR_STATE
        self._node.create_subscription(states.type, states.name, self._on_state, states.subscribe)
        self._wait(lambda: self._states and chunks.get_subscription_count(), "no executor is running")
        self._refuse_others(chunks, "stop the policy node")
        self._follows()
        task = self._frames.tasks[0]
        tasks.publish(String(data=task))
        self._wait(lambda: self._states[-1].task == task, f"the executor does not take the task '{task}'")
        accepted = self._states[-1].chunks_accepted
        step_ns, start_ns = NANOSECONDS // self._dataset.fps, self._now_ns()
        for number, first in enumerate(range(0, max(len(self._action_rad) - 1, 1), CHUNK // 2), 1):
            stamp_ns = start_ns + first * step_ns
            self._spin((stamp_ns - self._now_ns()) / NANOSECONDS)
            self._follows()
            chunk = ActionChunk(
                positions=self._action_rad[first : first + CHUNK],
                joint_names=self._robot.joint_names,
                observation_stamp_ns=stamp_ns,
                step_duration_ns=step_ns,
                chunk_id=number,
                request_id=0,
                task=task,
                policy=f"{self._dataset.root.name}, episode {self._episode}",
            )
            chunks.publish(action_chunk_msg(chunk, self._now_ns()))
            self._wait(
                lambda: self._states[-1].chunks_accepted > accepted,  # noqa: B023
                "the executor refuses the chunks; its log says why",
            )
            accepted = self._states[-1].chunks_accepted
        self._spin((start_ns + len(self._action_rad) * step_ns - self._now_ns()) / NANOSECONDS)
        return len(self._action_rad)

    def _publisher(self, topic: topics.Topic, name: str | None = None) -> Any:
        return self._node.create_publisher(topic.type, name or topic.name, topic.publish)

    def _on_state(self, state: msg.ExecutorState) -> None:
        self._states[:] = [state]

    def _follows(self) -> None:
        if self._states[-1].state not in FOLLOWING:
            reason = self._states[-1].reason or "it is disarmed"
            raise PlayError(f"the executor follows nothing: {reason}. To arm it: {ARM}")

    def _refuse_others(self, publisher: Any, remedy: str) -> None:
        if self._node.count_publishers(publisher.topic_name) > 1:
            raise PlayError(f"somebody else publishes on {publisher.topic_name}; {remedy}")

    def _wait(self, happened: Any, otherwise: str) -> None:
        deadline_ns = self._now_ns() + round(PATIENCE_S * NANOSECONDS)
        while not happened():
            if self._now_ns() > deadline_ns:
                raise PlayError(otherwise)
            self._spin(0.01)

    def _spin(self, duration_s: float) -> None:
        deadline_ns = self._now_ns() + round(duration_s * NANOSECONDS)
        while (left_ns := deadline_ns - self._now_ns()) > 0:
            self._executor.spin_once(timeout_sec=left_ns / NANOSECONDS)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="play_dataset",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit code: 0 done, 1 it cannot be played, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("dataset", type=Path, help="folder of the dataset")
    add("--episode", type=int, default=0, metavar="N", help="which, from 0; %(default)s")
    add("--actions", action="store_true", help="send the actions to the executor instead of the observations")
    add_options(parser, *ROBOT)
    return parser


def main() -> int:
    set_fast_dds()
    rclpy.init()
    arguments = parser().parse_args(rclpy.utilities.remove_ros_args(sys.argv)[1:])
    with exit_on_errors("play_dataset"):
        robot, calibration = load_robot_and_calibration(arguments)
        dataset = LeRobotDataset.load(arguments.dataset)
        if dataset.depth_keys and not arguments.actions:
            print(f"play_dataset: {dataset.depth_note}", file=sys.stderr, flush=True)
        player = Player(dataset, arguments.episode, robot, calibration)
        try:
            count = player.play_actions() if arguments.actions else player.play_observations()
        except PlayError as error:
            print(f"play_dataset: {error}", file=sys.stderr)
            return 1
        finally:
            player.close()
            rclpy.try_shutdown()
    what = "actions" if arguments.actions else "frames"
    print(f"{dataset.root}, episode {arguments.episode}: {count} {what} at {dataset.fps} fps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
