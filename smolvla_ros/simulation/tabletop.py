# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The physical world and its cameras, stepped: no ROS, no clock, no servo bus. For data, training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from smolvla_ros.arrays import FloatArray, ImageArray
from smolvla_ros.image import as_sent
from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.appearance import DEFAULT, Appearance
from smolvla_ros.simulation.layout import Layout
from smolvla_ros.simulation.layout_boxes import layout_boxes
from smolvla_ros.simulation.mujoco_scene import MujocoScene
from smolvla_ros.simulation.pinhole import SceneCamera, View
from smolvla_ros.simulation.render import Scene
from smolvla_ros.simulation.world import World, time_step_for
from smolvla_ros.simulation.world_state import WorldState
from smolvla_ros.urdf import Urdf

Renderer = Literal["opencv", "mujoco"]
CAMERAS = ("top", "wrist")  # those that the simulated suite has too, unless others are named


class TabletopObservation(NamedTuple):
    """What the robot sees and feels at one moment."""

    images: dict[str, ImageArray]  # camera name -> RGB (height, width, 3), sizes as in the robot file
    positions_rad: FloatArray  # (joints,)


class Tabletop:
    """An arm, a table and the objects of a layout, which stand still between two steps.

    cameras: names from the robot file. jpeg_quality: images as they arrive when they are sent as JPEG of this quality;
    None: as they are drawn. seed: of the sensor noise. time_step_s: of the physics; None: a part of the period between
    two actions at the robot's rate. renderer: Scene, or MujocoScene, which needs OpenGL. Raises
    RobotSpecError for an unknown camera, SceneError when the URDF lacks a camera's frame.
    """

    def __init__(
        self,
        robot: RobotSpec,
        layout: Layout,
        cameras: Sequence[str] = CAMERAS,
        appearance: Appearance = DEFAULT,
        *,
        jpeg_quality: int | None = None,
        seed: int = 0,
        time_step_s: float | None = None,
        renderer: Renderer = "opencv",
    ) -> None:
        self.robot = robot
        self.layout = layout
        self.world = World(robot.urdf_path, layout, time_step_s or time_step_for(1.0 / robot.rate_hz))
        self._cameras: dict[str, SceneCamera] = {}
        specs = [robot.camera(name) for name in cameras]
        for spec, camera in zip(specs, appearance.moved([SceneCamera.of(spec) for spec in specs])):
            self._cameras[spec.name] = camera
        self._jpeg_quality = jpeg_quality
        boxes = layout_boxes(layout, appearance.colours)
        self._scene = Scene(Urdf.load(robot.urdf_path), boxes, appearance, seed=seed)
        self._mujoco_scene = MujocoScene(self.world, appearance) if renderer == "mujoco" else None

    def step(self, targets_rad: Sequence[float] | FloatArray, duration_s: float) -> None:
        """Command joint positions (joints,) and let time pass, in whole time steps of the world."""
        self.world.command(targets_rad)
        self.world.step(duration_s)

    def state(self) -> WorldState:
        """Where everything is at present."""
        return self.world.state()

    def observe(self) -> TabletopObservation:
        """The images of all cameras and the joint positions at present."""
        positions_rad = self.world.positions_rad
        return TabletopObservation({name: self.render(name) for name in self._cameras}, positions_rad)

    def view(self, camera: str) -> View:
        """Where one camera is at present, for the projection of points of the root frame."""
        spec = self._cameras[camera]
        return View(spec, self._scene.kinematics.link_poses(self._positions())[spec.frame_id])

    def render(self, camera: str) -> ImageArray:
        """The present image of one camera."""
        if self._mujoco_scene:
            image = self._mujoco_scene.render(self.view(camera))
        else:
            image = self._scene.render(self._positions(), self._cameras[camera], self.world.cube_poses())
        return image if self._jpeg_quality is None else as_sent(image, self._jpeg_quality)

    def save(self) -> FloatArray:
        """The whole state of the world, for `restore`; the sensor noise is not part of it."""
        return self.world.save()

    def restore(self, state: FloatArray) -> None:
        """Return to a saved state of a world with the same layout."""
        self.world.restore(state)

    def _positions(self) -> dict[str, float]:
        return dict(zip(self.world.joint_names, self.world.positions_rad.tolist(), strict=True))
