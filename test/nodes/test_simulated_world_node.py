# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated world on ROS: its objects as markers, its servo bus, the next layout, and the progress of a task."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from std_msgs.msg import String
from std_srvs.srv import Trigger

pytest.importorskip("mujoco", reason="the physical world needs MuJoCo")

from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import joint_state_msg
from smolvla_ros.nodes.scene_messages import boxes_from_msg, marker_array_msg
from smolvla_ros.robot import Joints
from smolvla_ros.simulation.layout_boxes import layout_boxes
from smolvla_ros.simulation.tasks.instruction import random_task
from smolvla_ros.wire import WireError

from ..package_files import ROBOT
from .conftest import measured_rad

ROOT = Path(__file__).parents[2]
ROBOT_FILE, CALIBRATION = "config/so100.yaml", "config/emulated_calibration.json"


def test_the_world_shows_its_objects_answers_on_its_bus_and_follows_a_task(
    observer: Any, start: Any, tmp_path: Path
) -> None:
    objects, progress = observer.collect(topics.SCENE_OBJECTS), observer.collect(topics.TASK_PROGRESS)
    tasks = observer.publisher(topics.ACTIVE_TASK)
    link = tmp_path / "arm"
    start("nodes.simulated_world_node", robot=ROBOT_FILE, calibration=CALIBRATION, port=link, seed=4)
    observer.until(lambda: objects and progress, "the world")

    layout, task = random_task("pick_place", 4)
    expected = {box.name: box for box in layout_boxes(layout)}
    shown = {box.name: box for box in boxes_from_msg(objects[-1])}
    assert shown.keys() == expected.keys()
    for name, box in shown.items():
        np.testing.assert_allclose(box.pose, expected[name].pose, atol=2e-3)
        assert box.rgb == expected[name].rgb and box.size_m == pytest.approx(expected[name].size_m)

    bus = FeetechBus(str(link))
    bus.open()
    with bus.long_timeouts():
        assert [bus.ping(servo_id) for servo_id in range(1, 7)] == [0] * 6  # error bits
    bus.close()

    assert not progress[-1].task and math.isnan(progress[-1].success_time)
    tasks.publish(String(data=task.instruction))
    observer.until(lambda: progress[-1].task == task.instruction, "the task")
    assert progress[-1].tasks == 1 and progress[-1].score == 0.0 and not progress[-1].success
    tasks.publish(String(data="make coffee"))
    observer.until(lambda: "make coffee" in progress[-1].reason, "the refusal")

    answer = observer.call(Trigger, "simulated_world/reset", Trigger.Request())
    following, _ = random_task("pick_place", 5)
    assert answer.success and answer.message == random_task("pick_place", 5)[1].instruction
    names = {box.name for box in layout_boxes(following)}
    observer.until(lambda: {box.name for box in boxes_from_msg(objects[-1])} == names, "the next layout")


def test_the_expert_does_an_instructed_task_through_all_nodes(
    observer: Any, start: Any, tmp_path: Path
) -> None:
    progress, states = observer.collect(topics.TASK_PROGRESS), observer.collect(topics.EXECUTOR_STATE)
    tasks = observer.publisher(topics.TASK)
    link, seed = tmp_path / "arm", 1
    start("nodes.simulated_world_node", robot=ROBOT_FILE, calibration=CALIBRATION, port=link, seed=seed)
    observer.until(lambda: progress, "the world")
    start("nodes.arm_node", robot=ROBOT_FILE, calibration=CALIBRATION, port=link)
    start("nodes.policy_node", robot=ROBOT_FILE, policy="expert")
    start("nodes.executor_node", robot=ROBOT_FILE, mode="armed")
    observer.until(lambda: tasks.get_subscription_count() and states, "the executor")
    instruction = random_task("pick_place", seed)[1].instruction
    tasks.publish(String(data=instruction))
    observer.until(lambda: progress[-1].success, instruction, 60.0)
    assert (progress[-1].task, progress[-1].score) == (instruction, 1.0)
    assert (progress[-1].tasks, progress[-1].successes) == (1, 1) and not progress[-1].wrong_object


def test_jog_and_the_joint_states_of_sliders_move_the_arm_in_the_world(
    observer: Any, start: Any, on_terminal: Any, tmp_path: Path
) -> None:
    states, link = observer.collect(topics.JOINT_STATES), tmp_path / "arm"
    world = start("nodes.simulated_world_node", robot=ROBOT_FILE, calibration=CALIBRATION, port=link)
    world.wait_for("servo bus on")
    start("nodes.arm_node", robot=ROBOT_FILE, calibration=CALIBRATION, port=link)
    observer.until(lambda: states, "the arm")
    before = measured_rad(states)

    jog = on_terminal("tools.jog")
    observer.until(lambda: "no step yet" in jog.read(), "jog")
    jog.press("1f")

    def follows_keys() -> bool:
        if "no step yet" in jog.read().rpartition("\r")[2]:  # also after joint states were late
            jog.press("++")
        return bool(measured_rad(states)[0] > before[0] + 0.15)

    observer.until(follows_keys, "the arm to follow the keys")
    jog.press("q")
    assert jog.wait(10.0) == 0

    sliders = observer.publisher(topics.LEADER_JOINT_STATES)
    start("nodes.teleop_node", robot=ROBOT_FILE, calibration=CALIBRATION, leader_calibration=CALIBRATION)

    def follows() -> bool:
        sliders.publish(joint_state_msg(ROBOT.joint_names, Joints(observer.now_ns(), before, np.zeros(6))))
        return bool(abs(measured_rad(states)[0] - before[0]) < 0.05)

    observer.until(follows, "the arm to follow the sliders", 40.0)


def test_markers_give_the_boxes_back_and_what_is_no_box_is_refused() -> None:
    layout, _ = random_task("stack", 1)
    boxes = layout_boxes(layout)
    message = marker_array_msg(boxes, "base_link", topics.JOINT_STATES.type().header.stamp)
    for box, same in zip(boxes, boxes_from_msg(message), strict=True):
        assert (same.name, same.rgb) == (box.name, box.rgb)
        np.testing.assert_allclose(same.pose, box.pose, atol=1e-9)
    for change in ("scale.x", "pose.position.x", "pose.orientation"):
        broken = marker_array_msg(boxes, "base_link", topics.JOINT_STATES.type().header.stamp)
        marker = broken.markers[0]
        if change == "scale.x":
            marker.scale.x = 0.0
        elif change == "pose.position.x":
            marker.pose.position.x = math.nan
        else:
            marker.pose.orientation.w = marker.pose.orientation.z = 0.0
        with pytest.raises(WireError, match=boxes[0].name):
            boxes_from_msg(broken)


def test_a_rendered_camera_draws_the_objects_where_the_world_says_they_are(observer: Any, start: Any) -> None:
    images = observer.collect(topics.IMAGE_RAW)
    publisher = observer.publisher(topics.SCENE_OBJECTS)
    start("nodes.camera_node", robot=ROBOT_FILE, camera="top", source="rendered", rate_hz=10.0)
    observer.until(lambda: images and publisher.get_subscription_count(), "the camera")
    layout, _ = random_task("sort", 2)  # red and blue cubes and trays only
    stamp = topics.JOINT_STATES.type().header.stamp

    def green(message: Any) -> int:
        image = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3).astype(int)
        return int(((image[..., 1] > image[..., 0] + 40) & (image[..., 1] > image[..., 2] + 40)).sum())

    assert green(images[-1]) > 50  # a block of the scene without a world
    publisher.publish(marker_array_msg(layout_boxes(layout), "base_link", stamp))
    observer.until(lambda: green(images[-1]) == 0, "the objects of the world")


def test_without_mujoco_the_node_shows_the_objects_and_the_expert_is_refused_by_name(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['mujoco'] = None\n"
        "from smolvla_ros.nodes.policy_loading import load_policy\n"
        "from smolvla_ros.nodes.simulated_world_node import NO_PHYSICS\n"
        "from smolvla_ros.policy.policy_config import PolicyConfig\n"
        "from smolvla_ros.robot import RobotSpec\n"
        "print(NO_PHYSICS)\n"
        f"load_policy(PolicyConfig(policy='expert'), RobotSpec.load('{ROBOT_FILE}'), None)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "pip install mujoco" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("smolvla_ros.policy.policy.PolicyError: policy expert")
    assert "pip install mujoco" in done.stderr.splitlines()[-1]
