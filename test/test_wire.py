# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages are converted by the names of their fields, whatever their class."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from smolvla_ros.chunk import ChunkError
from smolvla_ros.wire import WireError, chunk_from_msg, frame_from_msg, joints_from_msg, nanoseconds

NAMES = ("pan", "lift")


def stamp(sec: int = 1, nanosec: int = 500) -> SimpleNamespace:
    return SimpleNamespace(sec=sec, nanosec=nanosec)


def joint_state(**fields: Any) -> SimpleNamespace:
    defaults = {"name": ["lift", "pan"], "position": [0.2, 0.1], "velocity": [], "effort": []}
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp()), **{**defaults, **fields})


def chunk(**fields: Any) -> SimpleNamespace:
    defaults = {
        "chunk_id": 7,
        "request_id": 3,
        "task": "pick",
        "policy": "p",
        "joint_names": list(NAMES),
        "positions": [0.0, 1.0, 2.0, 3.0],
        "observation_stamp": stamp(),
        "step_duration": stamp(0, 33_000_000),
        "inference_duration": stamp(0, 250_000_000),
        "expires": stamp(3, 0),
    }
    return SimpleNamespace(**{**defaults, **fields})


def test_a_stamp_is_whole_nanoseconds() -> None:
    assert nanoseconds(stamp(1_700_000_000, 123_456_789)) == 1_700_000_000_123_456_789


def test_joints_come_in_the_robots_order() -> None:
    joints = joints_from_msg(joint_state(), NAMES)
    assert joints.positions_rad.tolist() == [0.1, 0.2]
    assert joints.velocities_rad_s.tolist() == [0.0, 0.0]
    assert joints.stamp_ns == 1_000_000_500


def test_velocities_and_efforts_that_are_nan_count_as_absent() -> None:
    nan = float("nan")
    joints = joints_from_msg(joint_state(velocity=[0.5, nan], effort=[nan, nan]), NAMES)
    assert joints.positions_rad.tolist() == [0.1, 0.2]
    assert joints.velocities_rad_s.tolist() == [0.0, 0.5]
    assert joints.efforts.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ["lift", "roll"]}, "lack pan; they have lift, roll"),
        ({"position": []}, "no positions"),
        ({"position": [0.1]}, "2 names and 1 values of position"),
        ({"position": [0.1, float("nan")]}, "not finite"),
        ({"velocity": [0.1, float("inf")]}, "velocity .* not finite"),
        ({"effort": [-float("inf"), 0.1]}, "effort .* not finite"),
        ({"velocity": [1.0, 2.0, 3.0]}, "2 names and 3 values of velocity"),
    ],
)
def test_joint_states_that_contradict_themselves_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(WireError, match=message):
        joints_from_msg(joint_state(**fields), NAMES)


def test_chunk_positions_are_rows_of_steps() -> None:
    value = chunk_from_msg(chunk())
    assert value.positions.tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert value.times_ns.tolist() == [1_000_000_500, 1_033_000_500]
    assert value.inference_duration_s == 0.25


@pytest.mark.parametrize("positions", [[], [1.0, 2.0, 3.0]])
def test_a_chunk_of_broken_rows_is_refused(positions: list[float]) -> None:
    with pytest.raises(ChunkError, match="no whole rows of 2 joints") as caught:
        chunk_from_msg(chunk(positions=positions))
    assert caught.value.reason == "wrong_width"


def test_an_image_is_read_with_its_row_padding() -> None:
    data = bytes([1, 2, 3, 0, 4, 5, 6, 0])
    fields = {"height": 2, "width": 1, "encoding": "bgr8", "is_bigendian": 0, "step": 4, "data": data}
    image = SimpleNamespace(header=SimpleNamespace(stamp=stamp()), **fields)
    assert frame_from_msg(image, "top").image.tolist() == [[[3, 2, 1]], [[6, 5, 4]]]


def test_arrays_of_live_and_recorded_messages_read_alike() -> None:
    recorded = joint_state(position=np.array([0.2, 0.1]))
    assert joints_from_msg(recorded, NAMES).positions_rad.tolist() == [0.1, 0.2]
