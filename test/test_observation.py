# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of an observation have nearly the same stamp, and it is current."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smolvla_ros.observation import (
    Observation,
    ObservationError,
    example_observation,
    synchronization_problem,
)

from .package_files import ROBOT

SECOND = 1_000_000_000
SEEN_NS = 100 * SECOND


def observation(camera_shift_s: float = 0.0, joints_shift_s: float = 0.0) -> Observation:
    """Everything stamped 100 s, but for the wrist camera and the joints."""
    value = example_observation(ROBOT, SEEN_NS)
    frames = dict(value.frames)
    frames["wrist"] = replace(frames["wrist"], stamp_ns=SEEN_NS + round(camera_shift_s * SECOND))
    joints = replace(value.joints, stamp_ns=SEEN_NS + round(joints_shift_s * SECOND))
    return Observation(frames, joints, value.task)


def check(value: Observation, now_s: float) -> None:
    value.check_times(round(now_s * SECOND), max_age_s=0.5, max_skew_s=0.05)


def test_the_example_fits_its_robot() -> None:
    value = example_observation(ROBOT)
    assert [(name, frame.image.shape) for name, frame in value.frames.items()] == [
        (camera.name, (camera.height, camera.width, 3)) for camera in ROBOT.cameras
    ]
    assert value.joints.positions_rad.shape == (len(ROBOT.joints),)


def test_its_stamp_is_that_of_the_newest_frame() -> None:
    assert observation(camera_shift_s=0.02, joints_shift_s=0.03).stamp_ns == SEEN_NS + 20_000_000


@pytest.mark.parametrize("now_s", [99.95, 100.0, 100.5])
def test_parts_of_one_moment_are_good_while_they_are_fresh(now_s: float) -> None:
    check(observation(), now_s)


@pytest.mark.parametrize(
    ("camera_shift_s", "joints_shift_s", "now_s", "message"),
    [
        (-0.02, 0.0, 100.49, "camera 'wrist': 0.51 s old, more than max_observation_age_s=0.5"),
        (0.0, -0.02, 100.49, "joint states: 0.51 s old"),
        (0.04, 0.0, 99.98, "camera 'wrist': stamped 0.06 s in the future"),
        (0.0, 0.04, 99.98, "joint states: stamped 0.06 s in the future"),
        (-0.051, 0.0, 100.0, "camera 'wrist' is 0.051 s older than"),
        (0.0, -0.051, 100.0, "joint states is 0.051 s older than camera"),
        (0.051, 0.0, 100.1, "0.051 s older than camera 'wrist', more than 0.05 s apart"),
    ],
)
def test_a_part_of_another_moment_is_named(
    camera_shift_s: float, joints_shift_s: float, now_s: float, message: str
) -> None:
    with pytest.raises(ObservationError, match=message):
        check(observation(camera_shift_s, joints_shift_s), now_s)


def test_parts_within_the_skew_belong_together() -> None:
    check(observation(camera_shift_s=-0.05, joints_shift_s=0.0), 100.0)


def test_the_stream_that_keeps_the_others_waiting_is_named() -> None:
    now_ns = 10**18

    def complaint(**ages_s: float | None) -> str:
        newest_ns = {name: None if age is None else now_ns - round(age * 1e9) for name, age in ages_s.items()}
        return synchronization_problem(newest_ns, now_ns, max_age_s=0.5, max_skew_s=0.05)

    assert complaint(top=0.01, wrist=None, joint_states=0.0).startswith("nothing has arrived from wrist;")
    assert "top: stamped 2.00 s in the future" in complaint(top=-2.0, wrist=0.0, joint_states=3.0)
    assert complaint(top=0.01, wrist=3.0, joint_states=0.0).startswith("wrist: 3.00 s old")
    assert "top is stamped 0.200 s before joint_states" in complaint(top=0.2, wrist=0.1, joint_states=0.0)
