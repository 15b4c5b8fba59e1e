# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the words of an instruction to a task in a layout, and random instructions for a layout."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from smolvla_ros.simulation.layout import Cube, Layout, Tray, random_layout
from smolvla_ros.simulation.tasks import choose_box, pick_place, pick_up, put_aside, sort, stack, touch
from smolvla_ros.simulation.tasks.task import Task

TASKS = {  # name -> wordings for demonstrations and training
    "touch": touch.WORDINGS,
    "pick_up": pick_up.WORDINGS,
    "pick_place": pick_place.WORDINGS,
    "stack": stack.WORDINGS,
    "sort": sort.WORDINGS,
    "choose_box": choose_box.WORDINGS,
    "put_aside": put_aside.WORDINGS,
}
HELD_OUT_WORDINGS = {  # name -> wordings that are understood, for evaluation only
    "touch": touch.HELD_OUT_WORDINGS,
    "pick_up": pick_up.HELD_OUT_WORDINGS,
    "pick_place": pick_place.HELD_OUT_WORDINGS,
    "stack": stack.HELD_OUT_WORDINGS,
    "sort": sort.HELD_OUT_WORDINGS,
    "choose_box": choose_box.HELD_OUT_WORDINGS,
    "put_aside": put_aside.HELD_OUT_WORDINGS,
}
TRAYS = {"pick_place": ("white",), "choose_box": choose_box.BOXES}  # colours of the trays by task
SORTED = ("red", "red", "blue", "blue")  # colours of the cubes of `sort`, into a red and a blue tray


Object = TypeVar("Object", Cube, Tray)


class InstructionError(ValueError):
    """An instruction that is none of these tasks, or names an object that is not there; the message says which."""


def understand(instruction: str, layout: Layout) -> Task:
    """The task that an instruction asks for; letter case makes no difference. Raises InstructionError."""
    words = instruction.strip().rstrip(".").lower()
    for name, wordings in TASKS.items():
        for wording in (*wordings, *HELD_OUT_WORDINGS[name]):
            found = re.fullmatch(wording.lower().replace("{}", r"(\w+)"), words)
            if found:
                return _task(name, instruction, found.groups(), layout)
    examples = ", ".join(f"'{wordings[0].format('red', 'blue')}'" for wordings in TASKS.values())
    raise InstructionError(f"'{instruction}' is none of the tasks here, such as {examples}")


def random_task(
    name: str, seed: int, wordings: str = "training", distractors: int = 0
) -> tuple[Layout, Task]:
    """A layout and an instruction of a task; the same for the same seed. Raises InstructionError, LayoutError.

    wordings: "training" or "held_out". distractors: cubes beyond the two or three that there are else.
    """
    if name not in TASKS:
        raise InstructionError(f"there is no task '{name}'; there are {', '.join(TASKS)}")
    random = np.random.default_rng([seed, 1])
    if name == "sort":
        layout = random_layout(seed, SORTED, ("red", "blue"))
    else:
        count = int(random.integers(2, 4)) + distractors
        colours = tuple(random.permutation(["red", "green", "blue", "yellow"])[:count].tolist())
        layout = random_layout(seed, colours, TRAYS.get(name, ()))
    choices = {"training": TASKS, "held_out": HELD_OUT_WORDINGS}[wordings][name]
    wording = choices[int(random.integers(len(choices)))]
    named = random.permutation([cube.colour for cube in layout.cubes]).tolist()
    if name == "choose_box":
        named[1] = str(random.choice(choose_box.BOXES))
    return layout, understand(wording.format(*named), layout)


def _task(name: str, instruction: str, colours: tuple[str, ...], layout: Layout) -> Task:
    if name == "choose_box":
        cube = _of_colour(colours[0], layout.cubes, "cube", instruction)
        tray = _of_colour(colours[1], layout.trays, "box", instruction)
        return pick_place.PickPlace(instruction, cube.name, tray)
    cubes = [_of_colour(colour, layout.cubes, "cube", instruction).name for colour in colours]
    if name == "touch":
        return touch.Touch(instruction, cubes[0])
    if name == "pick_up":
        return pick_up.PickUp(instruction, cubes[0])
    if name == "put_aside":
        return put_aside.PutAside(instruction, cubes[0])
    if name == "stack":
        if cubes[0] == cubes[1]:
            raise InstructionError(f"'{instruction}': a cube cannot stand on itself")
        return stack.Stack(instruction, cubes[0], cubes[1])
    if not layout.trays:
        raise InstructionError(f"'{instruction}': there is no box on the table")
    if name == "pick_place":
        return pick_place.PickPlace(instruction, cubes[0], layout.trays[0])
    trays = {tray.colour: tray for tray in layout.trays}
    goals = tuple((cube.name, trays[cube.colour]) for cube in layout.cubes if cube.colour in trays)
    if not goals:
        raise InstructionError(f"'{instruction}': no cube has the colour of a box")
    return sort.Sort(instruction, goals)


def _of_colour(colour: str, objects: Sequence[Object], kind: str, instruction: str) -> Object:
    """The cube or tray of this colour; raises InstructionError."""
    for thing in objects:
        if thing.colour == colour:
            return thing
    there = ", ".join(thing.colour for thing in objects) or "none"
    raise InstructionError(f"'{instruction}': there is no {colour} {kind} on the table (there: {there})")
