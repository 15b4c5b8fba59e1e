# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of a World by MuJoCo's renderer: smooth light and shadows, but it needs OpenGL, which Scene does not."""

from __future__ import annotations

import mujoco
import numpy as np

from smolvla_ros.arrays import FloatArray, ImageArray
from smolvla_ros.simulation.appearance import Appearance
from smolvla_ros.simulation.layout import Rgb
from smolvla_ros.simulation.pinhole import NEAR_M, SceneError, View
from smolvla_ros.simulation.world import LAMP, SKY, World

FAR_M = 10.0
SPECULAR = 0.2  # of the lamp
COLLISION_GROUP = 0  # of the URDF's collision shapes, which are not drawn; objects are in it too


class MujocoScene:
    """Draws a world from the point of any camera. Raises SceneError where there is no OpenGL.

    MuJoCo chooses how it draws when it is imported: without a display set MUJOCO_GL=egl (a GPU) or osmesa (a CPU).
    """

    def __init__(self, world: World, appearance: Appearance) -> None:
        self._world = world
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}
        _paint(world, appearance)

    def render(self, view: View) -> ImageArray:
        """An image (height, width, 3) RGB of the present state."""
        width, height = view.camera.width, view.camera.height
        renderer = self._renderers.get((width, height))
        if renderer is None:
            renderer = self._renderers[width, height] = _renderer(self._world.model, width, height)
        renderer.update_scene(self._world.data)
        for camera in renderer.scene.camera:  # of the left and the right eye
            _aim(camera, view)
        image: ImageArray = renderer.render()
        return image


def _renderer(model: mujoco.MjModel, width: int, height: int) -> mujoco.Renderer:
    model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
    model.vis.global_.offheight = max(model.vis.global_.offheight, height)
    try:
        # tried first, because a Renderer without OpenGL prints a traceback when it is deleted
        mujoco.GLContext(width, height).free()
        return mujoco.Renderer(model, height, width)
    except Exception as error:  # its kind depends on which OpenGL is missing
        raise SceneError(
            f"MuJoCo cannot draw: {type(error).__name__} {error}; without a display set MUJOCO_GL=egl (a GPU) or "
            "MUJOCO_GL=osmesa (the library OSMesa), or use the renderer that needs neither"
        ) from error


def _aim(camera: mujoco.MjvGLCamera, view: View) -> None:
    """Give OpenGL's camera the pose and field of view of ours, whose axes are right, down and forward."""
    camera.pos, camera.forward, camera.up = view.eye, view.pose[:3, 2], -view.pose[:3, 1]
    focal = view.matrix[0, 0]
    half_width, half_height = NEAR_M * np.array([view.camera.width, view.camera.height]) / (2 * focal)
    camera.frustum_near, camera.frustum_far = NEAR_M, FAR_M
    camera.frustum_center, camera.frustum_width = 0.0, half_width
    camera.frustum_bottom, camera.frustum_top = -half_height, half_height


def _paint(world: World, appearance: Appearance) -> None:
    """The colours and the light of an appearance; without its texture and noise."""
    model, layout = world.model, world.layout
    objects = {cube.name: cube.colour for cube in layout.cubes}
    objects |= {tray.name: tray.colour for tray in layout.trays}
    for geom in range(model.ngeom):
        body = model.body(model.geom_bodyid[geom]).name
        if body in objects:
            model.geom_rgba[geom, :3] = _share(appearance.colours[objects[body]])
        elif model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE:
            model.geom_rgba[geom, :3] = _share(appearance.table_rgb)
        elif model.geom_group[geom] == COLLISION_GROUP:
            model.geom_rgba[geom, 3] = 0.0
    sky = model.tex(SKY)
    first, size = int(sky.adr[0]), int(sky.width[0] * sky.height[0] * 3)
    model.tex_data[first : first + size] = np.tile(appearance.wall_rgb, size // 3)
    lamp = model.light(LAMP)
    lamp.pos[:], lamp.dir[:] = appearance.light_direction, -np.array(appearance.light_direction)
    gains = np.array(appearance.gains)
    lamp.diffuse[:], lamp.specular[:] = appearance.lamp * gains, SPECULAR * gains
    headlight = model.vis.headlight
    headlight.ambient, headlight.diffuse, headlight.specular = (
        appearance.ambient * gains,
        np.zeros(3),
        np.zeros(3),
    )


def _share(rgb: Rgb) -> FloatArray:
    return np.array(rgb) / 255.0
