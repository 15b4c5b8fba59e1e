# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot of network.py: publishes images and joint states, and prints a line for each chunk and executor state.

Its argument is the JPEG quality of the images.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from itertools import cycle
from typing import Any

import numpy as np
from std_msgs.msg import String

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.nodes.messages import compressed_image_msg, joint_state_msg
from smolvla_ros.nodes.rendered_camera import RenderedCamera
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.share import find_robot_file
from smolvla_ros.simulation.layout import REST_RAD
from smolvla_ros.wire import nanoseconds

CAMERAS, PICTURES, IMAGE_HZ, CONTROL_HZ = ("top", "wrist"), 8, 15.0, 30.0
START_S = 90.0
RADIUS_RAD, SPEED_RAD_S = 0.2, 0.3  # of the movement


def be_robot(jpeg_quality: int) -> None:
    """Publish what the policy needs, give the executor a task, and print a line for every chunk and executor state."""
    client = ClientNode("bench")
    robot = RobotSpec.load(find_robot_file(""))

    def on_chunk(chunk: Any) -> None:
        age_s = (client.now_ns() - nanoseconds(chunk.observation_stamp)) / NANOSECONDS
        print("chunk", time.monotonic(), age_s, flush=True)

    def on_state(state: Any) -> None:
        counts = (state.chunks_accepted, sum(state.rejected_counts), state.starved_periods)
        print("state", time.monotonic(), *counts, flush=True)

    def publish_joints() -> None:
        states.publish(joint_state_msg(robot.joint_names, moving_joints(client.now_ns())))

    def publish_images() -> None:
        stamp = client.node.get_clock().now().to_msg()
        for publisher, pictures in images:
            picture = next(pictures)
            picture.header.stamp = stamp
            publisher.publish(picture)

    with client:
        states = client.publisher(topics.JOINT_STATES)
        topic = topics.IMAGE_COMPRESSED
        images = [
            (client.publisher(topic, f"/{name}/{topic.name}"), cycle(pictures(robot, name, jpeg_quality)))
            for name in CAMERAS
        ]
        client.subscribe(topics.ACTION_CHUNK, on_chunk)
        client.subscribe(topics.EXECUTOR_STATE, on_state)
        client.node.create_timer(1.0 / CONTROL_HZ, publish_joints)
        client.node.create_timer(1.0 / IMAGE_HZ, publish_images)
        task = client.publisher(topics.TASK)
        client.spin_until(task.get_subscription_count, START_S)
        task.publish(String(data="pick up the red cube"))
        with suppress(KeyboardInterrupt):
            client.spin(float("inf"))


def moving_joints(stamp_ns: int) -> Joints:
    """Around the rest pose, where trained policies have data; two joints move at a constant speed together, so that the
    executor asks at its threshold: while an arm stands still it asks later."""
    positions_rad, velocities_rad_s = np.array(REST_RAD), np.zeros(len(REST_RAD))
    phase = SPEED_RAD_S / RADIUS_RAD * stamp_ns / NANOSECONDS
    positions_rad[[0, 4]] += RADIUS_RAD * np.array([np.sin(phase), np.cos(phase)])
    velocities_rad_s[[0, 4]] = SPEED_RAD_S * np.array([np.cos(phase), -np.sin(phase)])
    return Joints(stamp_ns, positions_rad, velocities_rad_s)


def pictures(robot: RobotSpec, name: str, jpeg_quality: int) -> list[Any]:
    """What a camera of the robot would see, with new noise in each image, as messages."""
    spec = robot.camera(name)
    camera = RenderedCamera(robot, spec, 1000.0, 0, time.time_ns, lambda _: True)
    frames = [camera.read() for _ in range(PICTURES)]
    return [compressed_image_msg(frame, spec.frame_id, jpeg_quality) for frame in frames if frame]


if __name__ == "__main__":
    be_robot(int(sys.argv[1]))
