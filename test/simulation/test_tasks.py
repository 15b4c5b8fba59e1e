# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks as predicates on states: partial scores, success, and what counts against an episode. No physics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smolvla_ros.simulation.layout import CUBE_M, Cube, Layout, Tray
from smolvla_ros.simulation.tasks.instruction import TASKS, InstructionError, random_task, understand
from smolvla_ros.simulation.tasks.pick_place import PickPlace
from smolvla_ros.simulation.tasks.put_aside import LEFT_M
from smolvla_ros.simulation.tasks.task import SETTLED_S, STUCK_S, Progress
from smolvla_ros.simulation.world_state import JAWS, TABLE, WorldState

TRAY = Tray("white_tray", "white", 0.2, 0.12)
LAYOUT = Layout((Cube("red_cube", "red", 0.25, 0.0), Cube("blue_cube", "blue", 0.2, -0.1)), (TRAY,))


def state(
    time_s: float = 0.0, positions_rad: float = 0.0, jaws: frozenset[str] = frozenset(), **cubes: Any
) -> WorldState:
    """A state; each cube as (x, y, height of the underside, names of what it touches), by default where it started."""
    start = {cube.name: (cube.x_m, cube.y_m, 0.0, {TABLE}) for cube in LAYOUT.cubes}
    poses, touching = {}, dict.fromkeys(JAWS, jaws)
    for name, (x, y, z, touched) in {**start, **cubes}.items():
        poses[name] = np.eye(4)
        poses[name][:3, 3] = (x, y, z + CUBE_M / 2)
        touching[name] = frozenset(touched)
    joints = np.full(6, positions_rad)
    return WorldState(time_s, LAYOUT, joints, np.zeros(6), np.eye(4), poses, touching)


def observed(instruction: str, *states: WorldState) -> Progress:
    progress = Progress(understand(instruction, LAYOUT))
    for each in states:
        progress.observe(each)
    return progress


HELD = (0.25, 0.0, 0.06, set(JAWS))
IN_TRAY = (0.2, 0.12, 0.002, {TRAY.name})
ON_BLUE = (0.2, -0.1, CUBE_M, {"blue_cube"})


def test_pick_place_gives_half_for_the_grasp_and_half_for_the_released_cube_in_the_tray() -> None:
    words = "Put the red cube into the box"
    assert observed(words, state()).score == 0.0
    assert observed(words, state(), state(red_cube=HELD)).score == 0.5
    in_grip = (*IN_TRAY[:3], {TRAY.name, *JAWS})
    assert observed(words, state(), state(red_cube=HELD), state(red_cube=in_grip)).score == 0.5
    assert observed(words, state(), state(red_cube=HELD), state(red_cube=IN_TRAY)).score == 1.0
    assert observed(words, state(), state(red_cube=(0.2, 0.19, 0.0, {TABLE}))).score == 0.0


def test_stacking_gives_half_for_lifting_and_half_for_a_cube_that_stands_on_the_other() -> None:
    words = "Stack the red cube on the blue cube"
    assert observed(words, state(), state(red_cube=HELD)).score == 0.5
    assert observed(words, state(), state(red_cube=HELD), state(red_cube=ON_BLUE)).score == 1.0
    beside = (0.2, -0.08, CUBE_M, {"blue_cube"})
    assert observed(words, state(), state(red_cube=beside)).score == 0.0


def test_sorting_gives_an_equal_share_for_each_cube() -> None:
    layout, task = random_task("sort", 0)
    assert len(task.cubes) == 4 and {tray.colour for tray in layout.trays} == {"red", "blue"}


def test_success_needs_the_goal_to_last() -> None:
    words = "Put the red cube into the box"
    moments = [state(), *(state(1.0 + SETTLED_S * share, red_cube=IN_TRAY) for share in (0.0, 0.5, 0.95))]
    assert not observed(words, *moments).is_success
    assert observed(words, *moments, state(1.0 + SETTLED_S, red_cube=IN_TRAY)).success_s == 1.0
    left = state(1.0 + 0.6 * SETTLED_S)
    assert not observed(words, *moments[:2], left, state(1.0 + SETTLED_S, red_cube=IN_TRAY)).is_success


def test_a_cube_that_the_instruction_does_not_name_must_stay_where_it_is() -> None:
    progress = observed("Pick up the red cube", state(), state(blue_cube=(0.2, -0.13, 0.0, {TABLE})))
    assert progress.wrong_object == "blue_cube"
    assert observed("Pick up the blue cube", state(), state(blue_cube=HELD)).wrong_object is None


def test_a_cube_that_falls_onto_the_table_counts_as_dropped_one_that_is_put_down_in_the_tray_does_not() -> (
    None
):
    words = "Put the red cube into the box"
    falling = state(red_cube=(0.25, 0.0, 0.04, set()))
    assert observed(words, state(), state(red_cube=HELD), falling, state()).was_dropped
    assert not observed(words, state(), state(red_cube=HELD), state(red_cube=IN_TRAY)).was_dropped


def test_an_arm_that_does_not_move_is_stuck_and_a_gripper_on_the_table_is_said() -> None:
    words = "Touch the red cube"
    assert observed(words, state(), state(STUCK_S + 0.1)).is_stuck
    assert not observed(
        words, state(), state(STUCK_S - 0.1), state(STUCK_S + 0.1, positions_rad=0.2)
    ).is_stuck
    assert observed(words, state(), state(jaws=frozenset({TABLE}))).hit_table
    assert not observed(words, state()).hit_table


@pytest.mark.parametrize("words", [wording for wordings in TASKS.values() for wording in wordings])
def test_every_wording_is_understood_whatever_its_case(words: str) -> None:
    trays = (TRAY, Tray("red_tray", "red", 0.2, -0.12), Tray("blue_tray", "blue", 0.3, -0.12))
    layout = Layout(LAYOUT.cubes, trays)
    spoken = words.format("red", "blue")
    for said in (spoken, spoken.upper(), f" {spoken.lower()}. "):
        assert understand(said, layout).cubes[0] == "red_cube"


@pytest.mark.parametrize(
    ("words", "layout", "wrong"),
    [
        ("make coffee", LAYOUT, "make coffee"),
        ("Pick up the pink cube", LAYOUT, "no pink cube.*red, blue"),
        ("Stack the red cube on the red cube", LAYOUT, "on itself"),
        ("Put the red cube into the box", Layout(LAYOUT.cubes), "no box"),
        ("Put the red cube into the blue box", LAYOUT, "no blue box.*white"),
        ("Sort the cubes by colour", LAYOUT, "no cube has the colour of a box"),
        ("", LAYOUT, "none of the tasks"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(words: str, layout: Layout, wrong: str) -> None:
    with pytest.raises(InstructionError, match=wrong):
        understand(words, layout)


def test_a_task_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(InstructionError, match="juggle.*pick_place"):
        random_task("juggle", 0)


def test_the_named_one_of_two_boxes_is_the_target() -> None:
    named = set()
    for seed in range(8):
        layout, task = random_task("choose_box", seed)
        assert isinstance(task, PickPlace) and len(layout.trays) == 2
        assert task.instruction.split(" the ")[2].startswith(task.tray.colour)
        named.add(task.tray.colour)
    assert named == {"red", "blue"}


def test_putting_a_cube_aside_gives_half_for_the_grasp_and_half_for_the_released_cube_on_the_left() -> None:
    words = "Put the red cube on the left"
    there = (*LEFT_M, 0.0, {TABLE})
    assert observed(words, state(), state(red_cube=HELD)).score == 0.5
    assert observed(words, state(), state(red_cube=HELD), state(red_cube=there)).score == 1.0
    held_there = (*LEFT_M, 0.0, {TABLE, *JAWS})
    assert not observed(words, state(), state(red_cube=held_there)).reached
    too_far = (LEFT_M[0], LEFT_M[1] - 0.06, 0.0, {TABLE})
    assert not observed(words, state(), state(red_cube=too_far)).reached
    assert not observed(words, state(), state(red_cube=(*LEFT_M, 0.05, {"blue_cube"}))).reached


def test_one_seed_gives_one_task() -> None:
    assert random_task("pick_place", 5) == random_task("pick_place", 5)
    assert random_task("pick_place", 5) != random_task("pick_place", 6)
