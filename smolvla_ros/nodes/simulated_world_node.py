# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A physical world on ROS: the arm behind its servo bus, cubes and a tray as markers, and how far a task has come.

The servo bus is a pseudo-terminal that the arm node opens like a real port. It has a process of its own
(simulation/bus_process.py), and this node a copy of the world, which it sets to the state of that process. Without
MuJoCo, or with an arm without jaws, the objects lie where the layout puts them, and the servos move by themselves.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from std_srvs.srv import Trigger

import smolvla_ros.msg as msg
from smolvla_ros.node_configs import WorldConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import task_progress_msg
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.scene_messages import marker_array_msg, pose_msg
from smolvla_ros.nodes.suite_node import OK, WARN, Health, SuiteNode, load_robot
from smolvla_ros.simulation.appearance import random_appearance
from smolvla_ros.simulation.bus_process import BusProcess, BusSetup
from smolvla_ros.simulation.layout import LayoutError
from smolvla_ros.simulation.layout_boxes import layout_boxes
from smolvla_ros.simulation.tasks.instruction import InstructionError, random_task, understand
from smolvla_ros.simulation.tasks.task import Progress
from smolvla_ros.units import load_calibration
from smolvla_ros.urdf import Urdf

try:
    from smolvla_ros.simulation.world import World, WorldError
except ModuleNotFoundError as error:
    if error.name != "mujoco":
        raise
    NO_PHYSICS = "MuJoCo is missing, so nothing can be grasped; install it: pip install mujoco"
else:
    NO_PHYSICS = ""


class SimulatedWorldNode(SuiteNode[WorldConfig]):
    """The world, its servo bus and its objects."""

    def __init__(self, **options: Any) -> None:
        super().__init__("simulated_world", WorldConfig, **options)
        self._bus: BusProcess | None = None
        self._world: Any = None
        self._no_physics = NO_PHYSICS  # why there is no world
        self._progress: Progress | None = None
        self._reason = ""
        self._tasks = self._successes = 0
        self._timer: Any = None

    def configure(self) -> None:
        config = self.config
        self._robot = load_robot(config.robot)
        calibration = load_calibration(config.calibration, self._robot.joint_names)
        units = dict(zip(self._robot.joint_names, self._robot.units(calibration), strict=True))
        self._layout, self._task = random_task(config.layout, config.seed)
        self._frame_id = Urdf.load(self._robot.urdf_path).root
        self._colours = random_appearance(config.seed, config.appearance).colours
        self._show_layout()
        self._world = self._make_world()
        link = Path(config.port) if config.port else None
        self._bus = BusProcess(BusSetup(calibration, units, self._world, config.seed, link))
        self._objects, self._states, self._progress_publisher = (
            self.add_publisher(topic)
            for topic in (topics.SCENE_OBJECTS, topics.WORLD_STATE, topics.TASK_PROGRESS)
        )
        self.add_subscription(topics.ACTIVE_TASK, self._begin_task)
        self.add_service(Trigger, "~/reset", self._reset)
        # the arm node starts after this line
        print(f"simulated world with its servo bus on {self._bus.port}", flush=True)
        if self._no_physics:
            self.get_logger().warning(self._no_physics)
        self.get_logger().info(f"a task for this layout: '{self._task.instruction}'")

    def _make_world(self) -> Any:
        """The world of the layout, or None where there can be none."""
        self._no_physics = NO_PHYSICS
        if NO_PHYSICS:
            return None
        try:
            return World(self._robot.urdf_path, self._layout)
        except WorldError as error:
            self._no_physics = str(error)
            return None

    def activate(self) -> None:
        self._timer = self.create_timer(1.0 / self.config.objects_rate_hz, self._look)

    def deactivate(self) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None

    def cleanup(self) -> None:
        if self._bus is not None:
            self._bus.close()
            self._bus = None
        self._world = None

    def diagnose(self) -> Health:
        values = {
            "layout": f"{self.config.layout} {self.config.seed}",
            "tasks": f"{self._successes} of {self._tasks}",
        }
        return (
            Health(WARN, self._no_physics, values) if self._no_physics else Health(OK, "simulating", values)
        )

    def _begin_task(self, message: Any) -> None:
        """Another instruction: its progress counts from now on."""
        self._progress, self._reason = None, ""
        if not message.data:
            return
        try:
            self._progress = Progress(understand(message.data, self._layout))
            self._tasks += 1
        except InstructionError as error:
            self._reason = str(error)
            self.get_logger().warning(self._reason)

    def _reset(self, _request: Any, response: Any) -> Any:
        """Put the objects of the next seed on the table; the arm stays where it is."""
        if self._world is None or self._bus is None:
            response.message = self._no_physics or "the node is not configured"
            return response
        self.config = replace(self.config, seed=self.config.seed + 1)
        try:
            self._layout, self._task = random_task(self.config.layout, self.config.seed)
        except LayoutError as error:
            response.message = str(error)
            return response
        world = World(self._robot.urdf_path, self._layout)
        self._bus.enter(world)
        self._world = world
        self._show_layout()
        self._progress, self._reason = None, ""
        response.success = True
        response.message = self._task.instruction
        return response

    def _look(self) -> None:
        """Publish where everything is and how far the task has come."""
        assert self._bus is not None
        stamp = self.get_clock().now().to_msg()
        if self._world is not None:
            state = self._bus.world_state()
            self._world.restore(state)
            if self._states.get_subscription_count():
                message = msg.WorldState(
                    layout=self.config.layout, seed=self.config.seed, state=state.tolist()
                )
                message.header.stamp = stamp
                self._states.publish(message)
            self._publish_progress(stamp)
        if self._objects.get_subscription_count():
            self._publish_objects(stamp)

    def _publish_progress(self, stamp: Any) -> None:
        if self._progress is not None:
            was_success = self._progress.is_success
            self._progress.observe(self._world.state())
            if self._progress.is_success and not was_success:
                self._successes += 1
                self.get_logger().info(
                    f"'{self._progress.task.instruction}' in {self._progress.success_s:.1f} s"
                )
        message = task_progress_msg(self._progress, self._reason, self._successes, self._tasks)
        message.header.stamp = stamp
        self._progress_publisher.publish(message)

    def _publish_objects(self, stamp: Any) -> None:
        """Only the cubes move."""
        poses = {} if self._world is None else self._world.cube_poses()
        for marker in self._markers.markers:
            marker.header.stamp = stamp
            if marker.ns in poses:
                marker.pose = pose_msg(poses[marker.ns])
        self._objects.publish(self._markers)

    def _show_layout(self) -> None:
        """Make the markers of the present layout."""
        stamp = self.get_clock().now().to_msg()
        boxes = layout_boxes(self._layout, self._colours)
        self._markers = marker_array_msg(boxes, self._frame_id, stamp)


def main() -> int:
    return run_node(SimulatedWorldNode)


if __name__ == "__main__":
    sys.exit(main())
