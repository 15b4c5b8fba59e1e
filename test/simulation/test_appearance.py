# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Appearances change pictures within limits, by seed, and the default changes nothing."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.simulation.appearance import Appearance, CameraOffset, random_appearance
from smolvla_ros.simulation.layout import RGB
from smolvla_ros.simulation.pinhole import SceneCamera, View
from smolvla_ros.simulation.render import BLOCKS, Scene
from smolvla_ros.simulation.table import TEXTURES, Texture
from smolvla_ros.urdf import Urdf

SO100 = Urdf.load(Path(__file__).parents[2] / "urdf" / "so100.urdf")
REST = dict.fromkeys(
    ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"), 0.1
)
TOP = SceneCamera("top_camera_optical_frame", 160, 120)
CLEAN = Appearance(noise=0.0)


def picture(appearance: Appearance) -> np.ndarray:
    [camera] = appearance.moved([TOP])
    return Scene(SO100, BLOCKS, appearance).render(REST, camera)


def test_a_seed_always_gives_the_same_appearance_and_another_seed_another() -> None:
    assert random_appearance(5) == random_appearance(5)
    assert random_appearance(5) != random_appearance(6)
    assert not np.array_equal(picture(random_appearance(5)), picture(random_appearance(6)))


def test_strength_zero_is_the_default_and_a_small_strength_is_close_to_it() -> None:
    assert random_appearance(5, 0.0) == Appearance()
    near, far = random_appearance(5, 0.1), random_appearance(5, 1.0)
    assert abs(near.ambient - CLEAN.ambient) < abs(far.ambient - CLEAN.ambient)
    assert max(abs(np.subtract(near.table_rgb, CLEAN.table_rgb))) < max(
        abs(np.subtract(far.table_rgb, CLEAN.table_rgb))
    )


def test_cubes_keep_the_colour_that_they_are_called_by() -> None:
    def hue(rgb: tuple[int, int, int]) -> float:
        return colorsys.rgb_to_hsv(*(channel / 255 for channel in rgb))[0]

    for seed in range(50):
        colours = random_appearance(seed).colours
        assert set(colours) == set(RGB)
        for word in ("red", "green", "blue", "yellow"):
            nearest = min(
                ("red", "green", "blue", "yellow"),
                key=lambda other: abs((hue(RGB[other]) - hue(colours[word]) + 0.5) % 1.0 - 0.5),
            )
            assert nearest == word


def test_cameras_are_off_by_millimetres_and_about_a_degree() -> None:
    offsets = [offset for seed in range(100) for offset in random_appearance(seed).camera_offsets]
    assert 0.002 < np.std([offset.xyz_m for offset in offsets]) < 0.004
    assert 0.5 < np.degrees(np.std([offset.rpy_rad for offset in offsets])) < 1.5
    assert 0.01 < np.std([offset.fov_factor for offset in offsets]) < 0.03


def test_a_camera_offset_is_in_the_cameras_frame() -> None:
    moved = replace(CLEAN, camera_offsets=(CameraOffset(xyz_m=(0.0, 0.0, 0.01), fov_factor=1.1),))
    first, second = moved.moved([TOP, TOP])
    assert second == TOP and first.horizontal_fov_rad == pytest.approx(1.1 * TOP.horizontal_fov_rad)
    pose = Scene(SO100).kinematics.link_poses(REST)[TOP.frame_id]
    np.testing.assert_allclose(View(first, pose).eye - pose[:3, 3], 0.01 * pose[:3, 2], atol=1e-12)


def test_gains_shadow_and_colours_of_table_and_wall_are_those_asked_for() -> None:
    plain = replace(CLEAN, texture=Texture("plain", contrast=0.0))
    image = picture(plain)
    assert tuple(image[100, 5]) == plain.table_rgb
    darker = picture(replace(plain, gains=(0.5, 0.5, 0.5)))
    assert abs(darker - image * 0.5).mean() < 1.0
    assert picture(replace(plain, shadow=0.9)).sum() > image.sum()
    away = replace(plain, camera_offsets=(CameraOffset(rpy_rad=(0.7, 0.0, 0.0)),))
    assert plain.wall_rgb in {tuple(pixel) for pixel in picture(away)[0].tolist()}


@pytest.mark.parametrize("kind", TEXTURES)
def test_every_texture_varies_around_the_colour_of_the_table(kind: str) -> None:
    image = picture(replace(CLEAN, texture=Texture(kind)))
    table = image[100:, :20].reshape(-1, 3)
    np.testing.assert_allclose(np.median(table, axis=0), CLEAN.table_rgb, atol=12)
    assert table.std() > 1.0
