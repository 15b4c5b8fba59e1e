# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered images: positions, occlusion, and cameras that move with their link."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from smolvla_ros.simulation.appearance import Appearance
from smolvla_ros.simulation.pinhole import NEAR_M, SceneCamera, SceneError, View, clip_to_near
from smolvla_ros.simulation.render import BLOCKS, Scene
from smolvla_ros.simulation.solids import SceneBox, Solids, polyhedron
from smolvla_ros.simulation.table import TABLE_X_M, TABLE_Y_M, WALL_RGB
from smolvla_ros.simulation.visibility import painting_order
from smolvla_ros.urdf import Box, Cylinder, Shape, Sphere, Urdf

SO100 = Urdf.load(Path(__file__).parents[2] / "urdf" / "so100.urdf")
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
FOLDED = dict(zip(JOINTS, (0.0, 0.05, -0.05, 1.1, 0.0, -0.1), strict=True))
OVER_RED = dict(zip(JOINTS, (-0.433, 2.04, -1.761, 0.95, 0.0, 0.8), strict=True))
TOP, WRIST = (SceneCamera(f"{name}_camera_optical_frame") for name in ("top", "wrist"))

CLEAN = Appearance(noise=0.0)


def bench(visuals: str = "", camera_rpy: str = "3.14159265 0 0") -> Urdf:
    """A root link with shapes, and a camera 1 m above it that looks straight down, picture up along y."""
    return Urdf.from_xml(
        f'<robot name="r"><link name="a">{visuals}</link><link name="eye"/>'
        '<joint name="j" type="fixed"><parent link="a"/><child link="eye"/>'
        f'<origin xyz="0 0 1" rpy="{camera_rpy}"/></joint></robot>'
    )


def box(size: str, at: str, rgba: str) -> str:
    return (
        f'<visual><origin xyz="{at}"/><geometry><box size="{size}"/></geometry>'
        f'<material name="{rgba}"><color rgba="{rgba}"/></material></visual>'
    )


def pixel_of(
    scene: Scene, positions: dict[str, float], camera: SceneCamera, point: tuple[float, ...]
) -> tuple[int, int]:
    """(row, column) at which a point of the root frame appears."""
    view = View(camera, scene.kinematics.link_poses(positions)[camera.frame_id])
    column, row = view.to_pixels(view.to_camera(np.array([point])))[0]
    return round(row), round(column)


def top_of(block: SceneBox) -> tuple[float, float, float]:
    x, y, z = block.pose[:3, 3]
    return (x, y, z + 0.5 * block.size_m[2])


def hue(pixel: npt.NDArray[Any]) -> str:
    return ("red", "green", "blue")[int(pixel.argmax())]


def test_a_picture_is_rgb_bytes_of_the_cameras_size() -> None:
    image = Scene(SO100).render(FOLDED, SceneCamera("side_camera_optical_frame", 320, 240))
    assert image.shape == (240, 320, 3) and image.dtype == np.uint8


def test_each_block_appears_in_its_colour_where_the_camera_matrix_puts_it() -> None:
    scene = Scene(SO100, BLOCKS, CLEAN)
    image = scene.render(FOLDED, TOP)
    for block in BLOCKS:
        pixel = image[pixel_of(scene, FOLDED, TOP, top_of(block))]
        assert hue(pixel) == hue(np.array(block.rgb))
        assert int(pixel.max()) - int(pixel.min()) > 60


def test_the_camera_matrix_follows_from_the_field_of_view() -> None:
    matrix = SceneCamera("eye", 640, 480, horizontal_fov_rad=np.pi / 2).camera_matrix
    expected = np.array([[320.0, 0.0, 319.5], [0.0, 320.0, 239.5], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(matrix, expected, atol=1e-9)


def test_the_gripper_hides_the_block_that_it_stands_over() -> None:
    scene = Scene(SO100, BLOCKS, CLEAN)
    red = top_of(BLOCKS[0])
    free = scene.render(FOLDED, TOP)[pixel_of(scene, FOLDED, TOP, red)]
    lowered = {**OVER_RED, "shoulder_lift": 2.109, "elbow_flex": -1.52, "wrist_flex": 0.64, "gripper": 0.25}
    hidden = scene.render(lowered, TOP)[pixel_of(scene, lowered, TOP, red)]
    assert free[0] > 3 * int(free[1])
    assert hidden[0] < 2 * int(hidden[1])


def test_the_wrist_camera_sees_the_block_before_the_gripper() -> None:
    scene = Scene(SO100, BLOCKS, CLEAN)
    image = scene.render(OVER_RED, WRIST)
    assert hue(image[pixel_of(scene, OVER_RED, WRIST, top_of(BLOCKS[0]))]) == "red"


def test_moving_one_joint_changes_the_wrist_picture_everywhere_and_the_top_picture_only_at_the_arm() -> None:
    scene = Scene(SO100, BLOCKS, CLEAN)
    moved = {**OVER_RED, "shoulder_pan": -0.3}
    share = {
        camera: (scene.render(OVER_RED, camera) != scene.render(moved, camera)).any(axis=2).mean()
        for camera in (TOP, WRIST)
    }
    assert share[WRIST] > 0.6
    assert 0.02 < share[TOP] < 0.3


def test_opening_the_gripper_shows_in_the_wrist_picture() -> None:
    scene = Scene(SO100, BLOCKS, CLEAN)
    closed, open_ = (scene.render({**OVER_RED, "gripper": angle}, WRIST) for angle in (0.0, 1.0))
    left = slice(0, 320)  # the moving jaw is on the left
    assert (closed[:, left] != open_[:, left]).any(axis=2).mean() > 0.05


def test_the_same_seed_and_calls_give_the_same_pictures() -> None:
    first, second = Scene(SO100, seed=3), Scene(SO100, seed=3)
    for _ in range(2):
        np.testing.assert_array_equal(first.render(FOLDED, TOP), second.render(FOLDED, TOP))


def test_noise_differs_from_picture_to_picture_and_has_the_size_asked_for() -> None:
    scene, clean = (
        Scene(SO100, BLOCKS, Appearance(noise=3.0)),
        Scene(SO100, BLOCKS, CLEAN).render(FOLDED, TOP).astype(float),
    )
    first, second = (scene.render(FOLDED, TOP) for _ in range(2))
    assert (first != second).mean() > 0.5
    assert 2.5 < (first - clean).std() < 3.5


def test_the_table_lies_where_its_grid_says() -> None:
    eye = SceneCamera("eye", 640, 480)
    scene = Scene(bench(), (), CLEAN)
    image = scene.render({}, eye).astype(float).mean(axis=2)
    row, _ = pixel_of(scene, {}, eye, (0.0, 0.1, 0.0))
    _, column = pixel_of(scene, {}, eye, (0.15, 0.0, 0.0))
    by_row, by_column = image.mean(axis=1), image.mean(axis=0)
    assert abs(int(by_row[row - 8 : row + 9].argmin()) - 8) <= 1  # 5 cm are 23 pixels here
    assert abs(int(by_column[column - 8 : column + 9].argmin()) - 8) <= 1


def test_a_camera_that_looks_up_sees_no_table() -> None:
    image = Scene(bench(camera_rpy="0 0 0"), (), CLEAN).render({}, SceneCamera("eye", 64, 48))
    assert (image == WALL_RGB).all()


def test_the_table_ends_at_the_horizon() -> None:
    level = Scene(bench(camera_rpy="-1.5707963 0 -1.5707963"), (), CLEAN)
    image = level.render({}, SceneCamera("eye", 64, 48, horizontal_fov_rad=2.4))
    assert (image[:24] == WALL_RGB).all()
    assert (image[-1, 32] != WALL_RGB).any()
    assert TABLE_X_M[0] < 0.0 < TABLE_X_M[1] and TABLE_Y_M[0] < 0.0 < TABLE_Y_M[1]


def test_a_small_box_on_a_long_one_is_not_painted_over() -> None:
    """Its middle is farther away than the middle of the long one, so sorting by distance gives the wrong order."""
    board = box("1.2 0.3 0.02", "0 0 0.5", "0 0 1 1")
    cube = box("0.06 0.06 0.02", "0.45 0 0.52", "1 0 0 1")
    for visuals in (board + cube, cube + board):
        scene = Scene(bench(visuals), (), CLEAN)
        eye = SceneCamera("eye", horizontal_fov_rad=2.0)
        image = scene.render({}, eye)
        assert hue(image[pixel_of(scene, {}, eye, (0.45, 0.0, 0.53))]) == "red"
        assert hue(image[pixel_of(scene, {}, eye, (0.3, 0.0, 0.51))]) == "blue"


def test_a_shadow_falls_on_the_table_away_from_the_lamp() -> None:
    eye = SceneCamera("eye")
    lit = Scene(bench(), (), CLEAN).render({}, eye)
    scene = Scene(bench(box("0.1 0.1 0.1", "0 0 0.05", "1 0 0 1")), (), CLEAN)
    image = scene.render({}, eye)
    shadow, bright = (pixel_of(scene, {}, eye, (side * 0.06, -side * 0.07, 0.0)) for side in (-1.0, 1.0))
    assert image[shadow].mean() < 0.75 * lit[shadow].mean()
    np.testing.assert_array_equal(image[bright], lit[bright])


def test_cyclically_occluding_beams_are_each_painted_once() -> None:
    tilt = 0.2
    visuals = "".join(
        f'<visual><origin xyz="{0.2 * np.cos(a)} {0.2 * np.sin(a)} 0.5" rpy="0 {tilt} {a + np.pi / 2}"/>'
        '<geometry><box size="0.8 0.05 0.02"/></geometry></visual>'
        for a in (0.0, 2.1, 4.2)
    )
    solids = Solids(bench(visuals), ()).pose({"a": np.eye(4)})
    order = painting_order(solids, np.array([0.0, 0.0, 1.0]), np.ones((3, 3), bool))
    assert sorted(order) == [0, 1, 2]


def test_a_plank_that_runs_past_the_camera_is_cut_where_it_passes() -> None:
    """Seen from above its middle, turned to the left: what is behind must not be mirrored into view."""
    plank = (
        '<visual><origin xyz="0 0 0.8" rpy="0 0 0.5"/><geometry><box size="4 0.1 0.02"/></geometry>'
        '<material name="m"><color rgba="0 1 0 1"/></material></visual>'
    )
    eye = SceneCamera("eye", 200, 150, horizontal_fov_rad=2.0)
    scene = Scene(bench(plank, camera_rpy="-1.5707963 0 -1.5707963"), (), CLEAN)
    image = scene.render({}, eye)
    green = (image[..., 1] > 2 * image[..., 0].astype(int)).nonzero()
    for x in (0.4, 0.6, 1.0):
        row, column = pixel_of(scene, {}, eye, (x, x * np.tan(0.5), 0.81))
        assert hue(image[row, column]) == "green"
    assert green[1].max() < 100  # all of it to the left


@pytest.mark.parametrize("shape", [Box((1.0, 2.0, 3.0)), Cylinder(0.5, 2.0), Sphere(0.7)])
def test_bodies_are_convex_and_their_faces_look_outward(shape: Shape) -> None:
    body = polyhedron(shape)
    for face in body.faces:
        corners = body.vertices[list(face)]
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[1])
        heights = (body.vertices - corners[0]) @ (normal / np.linalg.norm(normal))
        assert heights.max() < 1e-9  # nothing lies outside of the face
        np.testing.assert_allclose(heights[list(face)], 0.0, atol=1e-9)


def test_clipping_cuts_at_the_near_plane() -> None:
    triangle = np.array([[0.0, 0.0, NEAR_M + 1.0], [1.0, 0.0, NEAR_M - 1.0], [-1.0, 0.0, NEAR_M - 1.0]])
    kept = clip_to_near(triangle)
    np.testing.assert_allclose(
        sorted(kept.tolist()), [[-0.5, 0, NEAR_M], [0, 0, NEAR_M + 1], [0.5, 0, NEAR_M]]
    )
    assert clip_to_near(triangle - [0.0, 0.0, 2.0]).shape == (0, 3)
    np.testing.assert_array_equal(clip_to_near(triangle + [0.0, 0.0, 2.0]), triangle + [0.0, 0.0, 2.0])


def test_an_unknown_camera_frame_is_named() -> None:
    with pytest.raises(SceneError, match="no camera frame 'front_camera' .it has base_link"):
        Scene(SO100).render(FOLDED, SceneCamera("front_camera"))


@pytest.mark.parametrize(
    ("size", "fov", "message"),
    [
        ((0, 480), 1.2, "size must be positive, got 0x480"),
        ((640, 480), 3.2, "horizontal_fov_rad must be above 0"),
    ],
)
def test_an_impossible_camera_is_refused(size: tuple[int, int], fov: float, message: str) -> None:
    with pytest.raises(SceneError, match=message):
        SceneCamera("eye", *size, horizontal_fov_rad=fov)


def test_a_box_that_has_moved_is_drawn_where_it_is_with_its_shadow() -> None:
    scene = Scene(SO100, BLOCKS, CLEAN)
    there = BLOCKS[0].pose.copy()
    there[:3, 3] = (0.33, -0.1, 0.06)
    image = scene.render(FOLDED, TOP, {"red_block": there})
    top = (0.33, -0.1, 0.06 + 0.0125)
    assert hue(image[pixel_of(scene, FOLDED, TOP, top)]) == "red"
    left = image[pixel_of(scene, FOLDED, TOP, top_of(BLOCKS[0]))].astype(int)
    assert left.max() - left.min() < 60  # the bare table
    before = scene.render(FOLDED, TOP)
    shadow = pixel_of(scene, FOLDED, TOP, (0.33 - 0.3 / 0.85 * 0.06, -0.1 + 0.4 / 0.85 * 0.06, 0.0))
    assert image[shadow].mean() < 0.8 * before[shadow].mean()
