# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A physical world on ROS: the arm behind its servo bus, cubes and a tray as markers, and how far a task has come.

The servo bus is a pseudo-terminal that the arm node opens like a real port. Without MuJoCo the objects are shown where
the layout puts them, and the servos move by themselves.
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
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.layout import LayoutError
from smolvla_ros.simulation.layout_boxes import layout_boxes
from smolvla_ros.simulation.servo_files import remove_stale_link
from smolvla_ros.simulation.tasks.instruction import InstructionError, random_task, understand
from smolvla_ros.simulation.tasks.task import Progress
from smolvla_ros.units import load_calibration
from smolvla_ros.urdf import Urdf

try:
    from smolvla_ros.simulation.world import World
    from smolvla_ros.simulation.world_servos import WorldServos
except ModuleNotFoundError as error:
    if error.name != "mujoco":
        raise
    NO_PHYSICS = "MuJoCo is missing, so nothing can be grasped; install it: pip install mujoco"
else:
    NO_PHYSICS = ""

SWITCH_S = 0.0005  # the servo bus runs in a thread and must answer within milliseconds
OBSERVE_PERIOD_S = 0.05  # of the task's progress


class SimulatedWorldNode(SuiteNode[WorldConfig]):
    """The world, its servo bus and its objects."""

    def __init__(self, **options: Any) -> None:
        super().__init__("simulated_world", WorldConfig, **options)
        self._arm: EmulatedArm | None = None
        self._world: Any = None  # None without MuJoCo
        self._progress: Progress | None = None
        self._reason = ""
        self._tasks = self._successes = 0
        self._timers: list[Any] = []

    def configure(self) -> None:
        config = self.config
        self._robot = load_robot(config.robot)
        calibration = load_calibration(config.calibration, self._robot.joint_names)
        units = dict(zip(self._robot.joint_names, self._robot.units(calibration), strict=True))
        self._layout, self._task = random_task(config.layout, config.seed)
        self._frame_id = Urdf.load(self._robot.urdf_path).root
        self._show_layout()
        link = Path(config.port) if config.port else None
        remove_stale_link(link)
        servos = None
        if NO_PHYSICS:
            self.get_logger().warning(NO_PHYSICS)
        else:
            self._world = World(self._robot.urdf_path, self._layout)
            servos = self._servos = WorldServos(self._world, units, config.seed)
        self._arm = EmulatedArm(calibration, seed=config.seed, link=link, mechanics=servos)
        self._objects, self._states, self._progress_publisher = (
            self.add_publisher(topic)
            for topic in (topics.SCENE_OBJECTS, topics.WORLD_STATE, topics.TASK_PROGRESS)
        )
        self.add_subscription(topics.ACTIVE_TASK, self._begin_task)
        self.add_service(Trigger, "~/reset", self._reset)
        # the arm node starts after this line
        print(f"simulated world with its servo bus on {self._arm.port}", flush=True)
        self.get_logger().info(f"a task for this layout: '{self._task.instruction}'")

    def activate(self) -> None:
        self._timers = [
            self.create_timer(1.0 / self.config.objects_rate_hz, self._publish_objects),
            self.create_timer(OBSERVE_PERIOD_S, self._observe),
        ]

    def deactivate(self) -> None:
        for timer in self._timers:
            self.destroy_timer(timer)
        self._timers = []

    def cleanup(self) -> None:
        if self._arm is not None:
            self._arm.wait_until_quiet()
            self._arm.close()
            self._arm = None
        self._world = None

    def diagnose(self) -> Health:
        values = {
            "layout": f"{self.config.layout} {self.config.seed}",
            "tasks": f"{self._successes} of {self._tasks}",
        }
        return Health(WARN, NO_PHYSICS, values) if NO_PHYSICS else Health(OK, "simulating", values)

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
        if self._world is None or self._arm is None:
            response.message = NO_PHYSICS or "the node is not configured"
            return response
        self.config = replace(self.config, seed=self.config.seed + 1)
        try:
            self._layout, self._task = random_task(self.config.layout, self.config.seed)
        except LayoutError as error:
            response.message = str(error)
            return response
        world = World(self._robot.urdf_path, self._layout)  # takes too long to keep the servos waiting
        with self._arm.held_still():
            world.place_arm(self._world.positions_rad)
            self._servos.enter(world)
            self._world = world
        self._show_layout()
        self._progress, self._reason = None, ""
        response.success = True
        response.message = self._task.instruction
        return response

    def _observe(self) -> None:
        if self._world is None or self._arm is None:
            return
        if self._progress is not None:
            with self._arm.held_still():
                state = self._world.state()
            was_success = self._progress.is_success
            self._progress.observe(state)
            if self._progress.is_success and not was_success:
                self._successes += 1
                self.get_logger().info(
                    f"'{self._progress.task.instruction}' in {self._progress.success_s:.1f} s"
                )
        message = task_progress_msg(self._progress, self._reason, self._successes, self._tasks)
        message.header.stamp = self.get_clock().now().to_msg()
        self._progress_publisher.publish(message)

    def _publish_objects(self) -> None:
        """Publish where everything is; only the cubes move."""
        assert self._arm is not None
        stamp = self.get_clock().now().to_msg()
        if self._world is not None:
            is_observed = self._states.get_subscription_count() > 0
            with self._arm.held_still():
                poses = self._world.cube_poses()
                saved = self._world.save() if is_observed else None
            if saved is not None:
                state = msg.WorldState(layout=self.config.layout, seed=self.config.seed, state=saved.tolist())
                state.header.stamp = stamp
                self._states.publish(state)
            for marker in self._markers.markers:
                if marker.ns in poses:
                    marker.pose = pose_msg(poses[marker.ns])
        for marker in self._markers.markers:
            marker.header.stamp = stamp
        self._objects.publish(self._markers)

    def _show_layout(self) -> None:
        """Make the markers of the present layout."""
        stamp = self.get_clock().now().to_msg()
        self._markers = marker_array_msg(layout_boxes(self._layout), self._frame_id, stamp)


def main() -> int:
    sys.setswitchinterval(SWITCH_S)
    return run_node(SimulatedWorldNode)


if __name__ == "__main__":
    sys.exit(main())
