# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`jog` on a pseudo-terminal: keys move one joint of a real arm node, in small steps, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from smolvla_ros.execution.jog import SETTINGS, STEPS_RAD, Jog
from smolvla_ros.nodes import topics
from smolvla_ros.robot import Joints

from ..package_files import ROBOT
from .conftest import EVERY_ONE, measured_rad


@pytest.fixture
def terminal(on_terminal: Callable[..., Any]) -> Any:
    return on_terminal("tools.jog")


def line(terminal: Any) -> str:
    """The newest whole line."""
    shown = terminal.read()
    return str(shown.rsplit("\r", 2)[-2]) if shown.count("\r") > 1 else ""


@pytest.mark.parametrize("keys", [" +", "+ +", " ++ -", "f +", "2+ 1+", " 6- 5+"])
def test_keys_of_one_read_make_no_larger_step_than_keys_one_by_one(keys: str) -> None:
    jog, now_ns = Jog(ROBOT), 0
    pose = np.array([joint.middle_rad for joint in ROBOT.joints])

    def run(periods: int) -> list[np.ndarray]:
        nonlocal now_ns
        sent = []
        for _ in range(periods):
            now_ns += round(1e9 / SETTINGS.rate_hz)
            jog.joints = Joints(now_ns, pose, np.zeros(6))
            command, _ = jog.command(now_ns)
            assert command is not None
            sent.append(command.copy())
        return sent

    jog.joints = Joints(now_ns, pose, np.zeros(6))
    for key in "f++++":
        jog.press(key)
    commands = run(40)
    for key in keys:
        jog.press(key)
    commands += run(40)
    assert np.abs(np.diff(commands, axis=0)).max() <= SETTINGS.max_step_rad + 1e-9


def test_keys_move_the_chosen_joint_and_nothing_else(
    observer: Any, start: Callable[..., Any], emulated_arm: Any, terminal: Any
) -> None:
    states = observer.collect(topics.JOINT_STATES)
    commands = observer.collect(topics.JOINT_COMMANDS, qos=EVERY_ONE)
    start("nodes.arm_node", port=emulated_arm[0])
    observer.until(lambda: states and "no step yet" in line(terminal), "jog to hear the arm")
    before = measured_rad(states)
    assert not commands

    def press(keys: str, is_done: Callable[[np.ndarray], bool], what: str) -> None:
        """Press keys, again when late joint states made jog drop its target; `is_done` of the way since then."""
        while not pressed(keys, measured_rad(states), is_done, what):
            pass

    def pressed(keys: str, start: np.ndarray, is_done: Callable[[np.ndarray], bool], what: str) -> bool:
        terminal.press(keys)
        observer.until(lambda: "no step yet" not in line(terminal), "jog to take the keys")
        observer.until(lambda: is_done(measured_rad(states) - start) or "no step yet" in line(terminal), what)
        return is_done(measured_rad(states) - start)

    terminal.press("3f")  # the elbow, in coarse steps
    two_steps = 2 * STEPS_RAD[1] * np.eye(6)[2]
    press("+\x1b[C-+", lambda way: np.abs(way - two_steps).max() < 0.02, "the elbow to arrive")
    assert "3 elbow_flex" in line(terminal)
    press("1++++++++++", lambda way: way[0] > 0.05, "the pan to move")
    # stop, and one step from there: both in one read
    press(" +", lambda _: "at the target" in line(terminal), "it to stop")
    assert measured_rad(states)[0] - before[0] < 9 * STEPS_RAD[1]
    steps = np.abs(np.diff([list(command.position) for command in commands], axis=0))
    assert steps.max() <= 0.01 + 1e-9
    terminal.press("q")
    assert terminal.wait(10.0) == 0


def test_nothing_is_sent_while_another_program_commands_the_arm(observer: Any, terminal: Any) -> None:
    commands = observer.collect(topics.JOINT_COMMANDS)
    observer.publisher(topics.JOINT_COMMANDS)
    observer.until(lambda: "1 other publishers" in line(terminal), "jog to see the other")
    terminal.press("1+++")
    observer.spin(0.3)
    assert not commands
