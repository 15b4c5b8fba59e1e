# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An emulated leader arm in the process of the test, which moves it as a hand would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.units import load_calibration

from ..package_files import CALIBRATION_FILE

MOVES_TICKS = {
    "shoulder_pan": 300,
    "shoulder_lift": -250,
    "elbow_flex": 200,
    "wrist_flex": -300,
    "wrist_roll": 400,
}


@contextmanager
def leader_arm(folder: Path) -> Iterator[tuple[EmulatedArm, Path]]:
    """The arm, and its calibration file in `folder`."""
    entries = json.loads(Path(CALIBRATION_FILE).read_text())
    entries["gripper"] |= {
        "range_min": 1500,
        "range_max": 2300,
    }  # a handle has a smaller range than a gripper
    file = folder / "leader.json"
    file.write_text(json.dumps(entries))
    with EmulatedArm(load_calibration(file), link=folder / "leader") as arm:
        for servo in arm.servos.values():
            servo.write(42, round(servo.position_ticks).to_bytes(2, "little"))
            servo.write(40, b"\x01")  # torque was left on by the last user
        yield arm, file


def move_by_hand(arm: EmulatedArm) -> None:
    for name, ticks in MOVES_TICKS.items():
        arm.servos[name].position_ticks += ticks
    arm.servos["gripper"].position_ticks = 1700  # a quarter open
