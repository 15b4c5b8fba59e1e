# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The stepped world with cameras: the same pictures as those of the suite, and the same episode for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="the physical world needs MuJoCo")

from smolvla_ros.nodes.rendered_camera import RenderedCamera
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.simulation.appearance import random_appearance
from smolvla_ros.simulation.layout import random_layout
from smolvla_ros.simulation.layout_boxes import layout_boxes
from smolvla_ros.simulation.tabletop import Tabletop

ROBOT = RobotSpec.load(Path(__file__).parents[2] / "config" / "so100.yaml")
LAYOUT = random_layout(4)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_it_sees_what_the_rendered_camera_of_the_suite_sees(strength: float) -> None:
    looks = random_appearance(5, strength)
    names = tuple(camera.name for camera in ROBOT.cameras)
    tabletop = Tabletop(ROBOT, LAYOUT, names, looks, seed=3)
    images, positions_rad = tabletop.observe()
    np.testing.assert_allclose(positions_rad, LAYOUT.start_rad)
    assert tuple(images) == names
    for name, image in images.items():
        spec = ROBOT.camera(name)
        camera = RenderedCamera(ROBOT, spec, 1000.0, 3, lambda: 0, lambda _camera: True, looks)
        camera.show(layout_boxes(LAYOUT, looks.colours))
        camera.move(positions_rad)
        frame = camera.read()
        assert frame is not None and image.shape == (480, 640, 3)
        # the sensor noise differs by a shift
        assert abs(frame.image.astype(float) - image).mean() < 4.0


def test_pictures_follow_the_arm_and_the_cubes() -> None:
    tabletop = Tabletop(ROBOT, LAYOUT, ("top",))
    before = tabletop.render("top")
    tabletop.step(tabletop.world.positions_rad + [0.5, 0.0, 0.0, 0.0, 0.0, 0.0], 0.5)
    assert (abs(tabletop.render("top").astype(int) - before) > 40).sum() > 1000
    assert tabletop.state().time_s == pytest.approx(0.5)


def test_the_same_seed_gives_the_same_observations_to_the_last_bit() -> None:
    seen = []
    for _ in range(2):
        tabletop = Tabletop(ROBOT, LAYOUT, ("wrist",), random_appearance(7), seed=7)
        tabletop.step(tabletop.world.positions_rad + 0.1, 0.2)
        images, positions_rad = tabletop.observe()
        seen.append((images["wrist"].tobytes(), positions_rad.tobytes(), tabletop.save().tobytes()))
    assert seen[0] == seen[1]


def test_it_returns_to_a_saved_state() -> None:
    tabletop = Tabletop(ROBOT, LAYOUT, ())
    saved = tabletop.save()
    tabletop.step(tabletop.world.positions_rad + 0.3, 0.3)
    tabletop.restore(saved)
    assert tabletop.save().tobytes() == saved.tobytes()


def test_pictures_can_be_as_they_are_sent() -> None:
    drawn = Tabletop(ROBOT, LAYOUT, ("top",)).render("top").astype(int)
    sent = Tabletop(ROBOT, LAYOUT, ("top",), jpeg_quality=90).render("top").astype(int)
    assert 0.0 < abs(drawn - sent).mean() < 4.0


def test_an_unknown_camera_is_an_error_that_names_it() -> None:
    with pytest.raises(RobotSpecError, match="no camera 'frnt'"):
        Tabletop(ROBOT, LAYOUT, ("frnt",))
