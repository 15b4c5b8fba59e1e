# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Extreme, random and malformed messages on every subscription of every node: all refuse them and keep working."""

from __future__ import annotations

import random
import re
from array import array
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.srv import GetState
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from smolvla_ros.chunk import ActionChunk, ChunkRequest, RequestReason
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import (
    action_chunk_msg,
    chunk_request_msg,
    compressed_image_msg,
    image_msg,
    joint_command_msg,
    joint_state_msg,
)
from smolvla_ros.observation import Frame
from smolvla_ros.robot import Joints

from ..package_files import CALIBRATION_FILE, ROBOT
from .conftest import ANSWER_S, Observer

TASK = "pick up the red cube"
EVERY_SUBSCRIBER = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)  # matches all
ROUNDS = 60  # of one message on each topic; every fourth is a truncated one
NODES = {
    "executor": ("executor_node", {"mode": "shadow", "task": TASK}),
    "policy": ("policy_node", {"policy": "scripted", "cameras": ("top",), "rtc": True}),
    "camera": ("camera_node", {"camera": "wrist", "source": "rendered"}),
    "teleop": ("teleop_node", {"calibration": CALIBRATION_FILE, "leader_calibration": CALIBRATION_FILE}),
}
EXPECTED = (
    *("task", "active_task", "action_chunk", "chunk_request", "top/image_raw/compressed"),
    *("joint_states", "joint_commands", "leader/joint_states"),
)
EXTREME: dict[str, tuple[Any, ...]] = {
    "double": (float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, 0.0, 1e4, -0.3),
    "float": (float("nan"), float("inf"), 3e38, -3e38, 0.0, 1.0),
    "string": ("", "x", "x" * 1000, "../../etc/passwd", "\N{COLLISION SYMBOL}\n\r\x1b[2J", "rgb8", "%s{}"),
    "boolean": (True, False),
}
SIZES = (0, 1, 2, 5, 7, 60)
INTEGER = re.compile(r"(u?)int(\d+)")
SEQUENCE = re.compile(r"sequence<([^,>]+)(?:, \d+)?>")
ARRAY = re.compile(r"(.+)\[(\d+)\]")


def extreme(kind: str, chance: random.Random) -> Any:
    """A value of a ROS field type (as get_fields_and_field_types writes it), at or beyond what is sensible."""
    if kind in EXTREME:
        return chance.choice(EXTREME[kind])
    if kind in ("octet", "byte"):
        return bytes([chance.randrange(256)])
    if found := INTEGER.fullmatch(kind):
        bits = int(found[2]) - (not found[1])
        return chance.choice([0, 1, 2**bits - 1, 2 ** (bits - 1), 0 if found[1] else -(2**bits)])
    if found := SEQUENCE.fullmatch(kind):
        return sequence(found[1], chance.choice(SIZES), chance)
    if found := ARRAY.fullmatch(kind):
        return sequence(found[1], int(found[2]), chance)
    package, name = kind.split("/")
    return extreme_message(getattr(import_module(f"{package}.msg"), name), chance)


def sequence(kind: str, size: int, chance: random.Random) -> Any:
    if kind == "uint8":
        return array("B", chance.randbytes(size))
    return [extreme(kind, chance) for _ in range(size)]


def extreme_message(message_type: Any, chance: random.Random) -> Any:
    fields = message_type.get_fields_and_field_types()
    return message_type(**{name: extreme(kind, chance) for name, kind in fields.items()})


def changed(message: Any, chance: random.Random) -> Any:
    """A valid message, some of whose fields are extreme."""
    fields = message.get_fields_and_field_types()
    for name in chance.sample(sorted(fields), min(len(fields), chance.randint(1, 2))):
        value = getattr(message, name)
        if fields[name] == "std_msgs/Header":
            value.stamp.sec = extreme("int32", chance)
        elif hasattr(value, "typecode") and value.typecode == "d" and len(value) and chance.random() < 0.7:
            value[chance.randrange(len(value))] = extreme("double", chance)
        else:
            setattr(message, name, extreme(fields[name], chance))
    return message


def worst(message: Any) -> Any:
    """A valid message with a value that once crashed a node."""
    if hasattr(message, "step_duration"):
        message.step_duration.sec = 2**31 - 1
    elif getattr(message, "position", None):
        message.position[0] = 1e308
    return message


def hostile(name: str, kind: Any, number: int, now_ns: int, chance: random.Random) -> Any:
    """The message of round `number` on a topic."""
    if number % 3 == 0:
        return extreme_message(kind, chance)
    good = valid(name, kind, now_ns)
    return worst(good) if number % 3 == 1 and chance.random() < 0.2 else changed(good, chance)


def valid(name: str, message_type: Any, now_ns: int) -> Any:
    """A message that the nodes accept; of other types an empty one."""
    pose = np.array([joint.middle_rad for joint in ROBOT.joints])
    frame = Frame("top", now_ns, np.full((48, 64, 3), 90, np.uint8))
    plan = np.tile(pose, (50, 1))
    step_ns = 33_333_333
    made: dict[str, Callable[[], Any]] = {
        "JointState": lambda: (
            joint_command_msg(ROBOT.joint_names, now_ns, pose)
            if name.endswith("commands")
            else joint_state_msg(ROBOT.joint_names, Joints(now_ns, pose, np.zeros(6), np.zeros(6)))
        ),
        "Image": lambda: image_msg(frame, ""),
        "CompressedImage": lambda: compressed_image_msg(frame, "", 90),
        "ActionChunk": lambda: action_chunk_msg(
            ActionChunk(plan, ROBOT.joint_names, now_ns, step_ns, 1, 0, TASK), now_ns
        ),
        "ChunkRequest": lambda: chunk_request_msg(
            ChunkRequest(
                now_ns, 1, TASK, RequestReason.THRESHOLD, 1.0, ROBOT.joint_names, plan, now_ns + step_ns, 0.5
            )
        ),
    }
    make = made.get(message_type.__name__)
    return make() if make else message_type()


def subscriptions(observer: Observer, node: str) -> dict[str, Any]:
    """The full names of the topics that a node subscribes to, with their message classes."""
    space, _, name = f"/{node}".rpartition("/")
    found = observer.node.get_subscriber_names_and_types_by_node(name, space or "/")
    return {topic: topics.message_class(types[0]) for topic, types in found}


@pytest.fixture
def everything(observer: Observer, start: Any, emulated_arm: Any, tmp_path: Path) -> dict[str, Any]:
    """Every node of the suite, active, by its name: its program."""
    programs = {name: start(f"nodes.{module}", **parameters) for name, (module, parameters) in NODES.items()}
    programs["arm"] = start("nodes.arm_node", port=emulated_arm[0])
    programs["recorder"] = start(
        "nodes.recorder_node", output=tmp_path / "episodes", task=TASK, min_free_mb=0.0
    )
    for name in programs:
        observer.until(lambda: state(observer, name) == "active", f"{name} to be active")  # noqa: B023
    return programs


def state(observer: Observer, node: str) -> str:
    return str(observer.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label)


def test_no_message_stops_a_node_or_its_function(observer: Observer, everything: dict[str, Any]) -> None:
    assert observer.trigger("recorder/start").success
    heard: dict[str, Any] = {}
    for node in everything:
        heard |= subscriptions(observer, node)
    assert {f"/{name}" for name in EXPECTED} <= set(heard)
    publishers = {
        name: observer.node.create_publisher(kind, name, EVERY_SUBSCRIBER) for name, kind in heard.items()
    }
    observer.until(lambda: all(p.get_subscription_count() for p in publishers.values()), "all to listen")
    chance = random.Random(20)
    for number in range(ROUNDS):
        for name, kind in heard.items():
            publisher = publishers[name]
            message = hostile(name, kind, number, observer.now_ns(), chance)
            if number % 4 == 3:
                data = serialize_message(message)
                publisher.publish(data[: chance.randrange(4, max(5, len(data)))])
            else:
                publisher.publish(message)
            if name == "/task":  # chunks for another task would be refused early
                publisher.publish(String(data=TASK))
        observer.spin(0.02)
    for publisher in publishers.values():
        observer.node.destroy_publisher(publisher)
    for name, program in everything.items():
        assert program.running and state(observer, name) == "active", f"{name}\n{program.output[-3000:]}"
        assert "Traceback" not in program.output, f"{name}\n{program.output[-5000:]}"
    still_work(observer)


def still_work(observer: Observer) -> None:
    """Every node works with valid messages."""
    states, joints = observer.collect(topics.EXECUTOR_STATE), observer.collect(topics.JOINT_STATES)
    pictures = observer.collect(topics.IMAGE_COMPRESSED)
    observer.until(lambda: pictures and len(joints) > 2, "the camera and the arm to publish")
    task = observer.publisher(topics.TASK)
    images = observer.publisher(topics.IMAGE_COMPRESSED, "top/image_raw/compressed")
    observer.until(lambda: task.get_subscription_count() and images.get_subscription_count(), "discovery")
    task.publish(String(data=TASK))
    frame = np.full((48, 64, 3), 90, np.uint8)
    timer = observer.node.create_timer(
        0.03, lambda: images.publish(compressed_image_msg(Frame("top", observer.now_ns(), frame), "", 90))
    )
    assert observer.switch("executor/shadow", False).success
    assert observer.switch("executor/shadow", True).success
    observer.until(lambda: states and states[-1].task == TASK, "the task")
    accepted = states[-1].chunks_accepted
    observer.until(lambda: states[-1].chunks_accepted > accepted, "a chunk of the policy", 2 * ANSWER_S)
    timer.cancel()
    assert observer.trigger("recorder/stop").success
