# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera source that renders the arm at its newest joint states.

It is here because it uses both `camera/` and `simulation/`, which do not import each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from smolvla_ros.arrays import FloatArray, ImageArray
from smolvla_ros.camera.source import CameraError, Pacer
from smolvla_ros.observation import Frame
from smolvla_ros.robot import CameraSpec, RobotSpec
from smolvla_ros.simulation.appearance import DEFAULT, Appearance
from smolvla_ros.simulation.pinhole import SceneCamera, SceneError
from smolvla_ros.simulation.render import Scene
from smolvla_ros.simulation.solids import SceneBox
from smolvla_ros.urdf import Urdf


class RenderedCamera:
    """Images of the robot at its newest joint positions; until the first `move`, each joint is at its middle.

    `prepare` is called before each image; nothing is rendered if it returns False.
    """

    def __init__(
        self,
        robot: RobotSpec,
        spec: CameraSpec,
        rate_hz: float,
        seed: int,
        clock_ns: Callable[[], int],
        prepare: Callable[[RenderedCamera], bool],
        appearance: Appearance = DEFAULT,
    ) -> None:
        self.name = spec.name
        self._clock_ns, self._prepare = clock_ns, prepare
        self._joint_names = robot.joint_names
        self._positions_rad = np.array([joint.middle_rad for joint in robot.joints])
        self._urdf, self._seed, self._appearance = Urdf.load(robot.urdf_path), seed, appearance
        self._scene = Scene(self._urdf, appearance=appearance, seed=seed)
        self._boxes: tuple[SceneBox, ...] = ()
        cameras = appearance.moved([SceneCamera.of(camera) for camera in robot.cameras])
        self._camera = cameras[robot.cameras.index(spec)]
        self._closed = threading.Event()
        self._pacer = Pacer(rate_hz, sleep_s=self._closed.wait)
        try:
            self._render()
        except SceneError as error:
            raise CameraError(f"camera '{spec.name}': {error}") from error

    @property
    def camera_matrix(self) -> FloatArray:
        """Intrinsics K (3, 3) in pixels."""
        return self._camera.camera_matrix

    def move(self, positions_rad: FloatArray) -> None:
        """Set the positions (joints,) rad for the next frames. May be called from another thread."""
        self._positions_rad = positions_rad

    def show(self, boxes: tuple[SceneBox, ...]) -> None:
        """From the next frame on these boxes are on the table, in place of all others. As for threads, see `move`."""
        if [_looks(box) for box in boxes] != [_looks(box) for box in self._boxes]:
            self._scene = Scene(self._urdf, boxes, self._appearance, seed=self._seed)
        self._boxes = boxes

    def read(self) -> Frame | None:
        """Wait until the next image is due and wanted, and return it; None after `close`."""
        while not self._closed.is_set():
            self._pacer.wait()
            if not self._closed.is_set() and self._prepare(self):
                return Frame(self.name, self._clock_ns(), self._render())
        return None

    def close(self) -> None:
        self._closed.set()

    def _render(self) -> ImageArray:
        positions = dict(zip(self._joint_names, self._positions_rad.tolist(), strict=True))
        scene, boxes = self._scene, self._boxes
        return scene.render(positions, self._camera, {box.name: box.pose for box in boxes})


def _looks(box: SceneBox) -> tuple[object, ...]:
    """What of a box a scene is built with."""
    return box.name, box.size_m, box.rgb
