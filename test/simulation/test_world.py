# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contact physics: what the arm, the table and the cubes do, and that nothing but contacts moves a cube."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="the physical world needs MuJoCo")

import mujoco

from smolvla_ros.simulation.layout import CUBE_M, Cube, Layout, Tray, random_layout
from smolvla_ros.simulation.world import TIME_STEP_S, Drive, World, time_step_for
from smolvla_ros.simulation.world_state import JAWS, TABLE
from smolvla_ros.urdf import Urdf

URDF = Path(__file__).parents[2] / "urdf" / "so100.urdf"
ROOT = Path(__file__).parents[2] / "smolvla_ros"
OVER = (0.0, 1.0, -1.2, 1.1, 0.0, 0.7)  # the gripper over the table, high enough for everything on it


def test_joints_limits_and_masses_are_those_of_the_urdf() -> None:
    urdf, world = Urdf.load(URDF), World(URDF, Layout((), start_rad=OVER))
    movable = [joint for joint in urdf.joints.values() if joint.is_movable]
    assert world.joint_names == tuple(joint.name for joint in movable)
    ranges = [world.model.joint(joint.name).range for joint in movable]
    np.testing.assert_allclose(ranges, [(joint.lower, joint.upper) for joint in movable])
    assert world.model.body("upper_arm_link").mass == pytest.approx(0.162409)


def test_the_world_has_no_means_but_contact_to_hold_an_object() -> None:
    world = World(URDF, random_layout(3))
    assert world.model.neq == 0, "an equality constraint would weld or tie bodies"
    for file in ROOT.rglob("*.py"):
        text = file.read_text()
        assert "add_equality" not in text and "xfrc_applied" not in text and "mocap" not in text, file
    written = [
        line
        for line in (ROOT / "simulation/world.py").read_text().splitlines()
        if "qpos[" in line and "=" in line
    ]
    assert [line.strip() for line in written if ".copy()" not in line] == [
        "self.data.qpos[self._q] = positions_rad"
    ]


def test_cubes_lie_still_where_the_layout_puts_them() -> None:
    layout = random_layout(5)
    world = World(URDF, layout)
    world.step(2.0)
    state = world.state()
    for cube in layout.cubes:
        np.testing.assert_allclose(
            state.cube_position(cube.name), [cube.x_m, cube.y_m, CUBE_M / 2], atol=5e-4
        )
        assert state.touching[cube.name] == {TABLE}


def test_a_cube_that_starts_in_the_air_falls_into_the_tray_below_it() -> None:
    tray = Tray("white_tray", "white", 0.2, 0.12, 0.4)
    world = World(URDF, Layout((Cube("red_cube", "red", 0.2, 0.12),), (tray,)))
    world.step(1.0)
    state = world.state()
    assert state.touching["red_cube"] == {"white_tray"}
    assert tray.contains(*state.cube_position("red_cube")[:2])


def test_the_drives_bring_the_joints_to_their_targets_and_bear_the_arm() -> None:
    world = World(URDF, Layout((), start_rad=OVER))
    target = np.array(OVER) + [0.5, -0.2, 0.1, -0.3, 0.4, -0.5]
    world.command(target)
    world.step(2.0)
    # it sinks under its weight, as the servos do
    np.testing.assert_allclose(world.positions_rad, target, atol=0.03)
    assert abs(world.torques_nm).max() > 0.1 and abs(world.velocities_rad_s).max() < 1e-3


def test_an_arm_without_torque_falls_onto_the_table() -> None:
    world = World(URDF, Layout((), start_rad=OVER))
    height = world.state().gripper_pose[2, 3]
    for joint in range(6):
        world.set_drive(joint, Drive(0.0, 0.0, 0.0))
    world.step(3.0)
    state = world.state()
    assert state.gripper_pose[2, 3] < height - 0.03
    assert any(TABLE in state.touching[link] for link in (*JAWS, "wrist_camera_link", "wrist_link"))
    assert abs(world.torques_nm).max() == 0.0


def test_a_torque_limit_stops_a_joint_at_an_obstacle() -> None:
    world = World(URDF, Layout((), start_rad=OVER))
    world.command([*OVER[:1], 2.6, -0.6, *OVER[3:]])  # through the table
    world.step(2.0)
    assert world.state().gripper_pose[2, 3] > 0.0
    assert abs(world.torques_nm).max() <= 2.94 + 1e-9


def test_the_same_seed_and_commands_give_the_same_world_to_the_last_bit() -> None:
    ends = []
    for _ in range(2):
        world = World(URDF, random_layout(11))
        random = np.random.default_rng(0)
        for _ in range(20):
            world.command(np.array(OVER) + random.normal(0.0, 0.2, 6))
            world.step(0.1)
        ends.append(world.save())
    assert ends[0].tobytes() == ends[1].tobytes()


def test_a_saved_state_goes_on_as_if_nothing_had_been_in_between() -> None:
    world = World(URDF, random_layout(2))
    world.step(0.2)
    saved = world.save()
    world.step(0.5)
    expected = world.save()
    world.command([0.5] * 6)
    world.step(0.3)
    world.restore(saved)
    world.step(0.5)
    assert world.save().tobytes() == expected.tobytes()


@pytest.mark.parametrize("rate_hz", [10.0, 30.0, 50.0, 200.0])
def test_a_whole_number_of_time_steps_makes_a_period(rate_hz: float) -> None:
    step_s = time_step_for(1.0 / rate_hz)
    assert 0.7 * TIME_STEP_S < step_s <= TIME_STEP_S
    world = World(URDF, Layout(()), step_s)
    for _ in range(30):
        world.step(1.0 / rate_hz)
    assert world.time_s == pytest.approx(30.0 / rate_hz)


def test_time_steps_are_those_asked_for() -> None:
    world = World(URDF, Layout(()), time_step_s=0.002)
    world.step(0.1)
    assert world.time_s == pytest.approx(0.1) and world.model.opt.timestep == 0.002
    assert world.model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
