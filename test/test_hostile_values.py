# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages with any field values are converted or raise a typed error, and a rejected one does not change the plan."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smolvla_ros.chunk import ActionChunk, ChunkError, RequestError
from smolvla_ros.execution.chunk_executor import ChunkExecutor
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.fusion import FUSIONS
from smolvla_ros.image import ENCODINGS, ImageError
from smolvla_ros.robot import Joints
from smolvla_ros.wire import WireError, chunk_from_msg, frame_from_msg, joints_from_msg, request_from_msg

from .package_files import ROBOT

NAMES = list(ROBOT.joint_names)
NOW_NS = 1_700_000_000_000_000_000
INT32 = st.sampled_from([-(2**31), -1, 0, 1, 2, 1_700_000_000, 1_700_000_001, 2**31 - 1])
UINT32 = st.sampled_from([0, 1, 33_333_333, 500_000_000, 999_999_999, 2**32 - 1])
UINT64 = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
STAMPS = st.builds(lambda sec, nanosec: SimpleNamespace(sec=sec, nanosec=nanosec), INT32, UINT32)
FLOATS = st.one_of(st.floats(), st.floats(-3.0, 3.0))
TEXTS = st.one_of(st.sampled_from(["", "pick", "x" * 10_000]), st.text(max_size=5))
JOINT_NAMES = st.one_of(st.just(NAMES), st.lists(TEXTS, max_size=8))
HEADERS = st.builds(lambda stamp: SimpleNamespace(stamp=stamp), STAMPS)


def now(after_s: float = 0.0) -> SimpleNamespace:
    sec, nanosec = divmod(NOW_NS + round(after_s * 1e9), 10**9)
    return SimpleNamespace(sec=sec, nanosec=nanosec)


def arrays(size: int) -> Any:
    """Arrays of the right size, and others."""
    return st.one_of(
        st.lists(st.floats(-3.0, 3.0), min_size=size, max_size=size),
        st.lists(FLOATS, min_size=size, max_size=size),
        st.lists(FLOATS, max_size=20),
    )


def messages(**fields: Any) -> Any:
    """Messages of these fields: (usual value, any value); in most, few fields have an unusual value."""
    usual = {name: value for name, (value, _) in fields.items()}
    changes = st.lists(st.sampled_from(sorted(fields)), max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: fields[name][1] for name in names})
    )
    return changes.map(lambda changed: SimpleNamespace(**{**usual, **changed}))


JOINT_STATES = messages(
    header=(SimpleNamespace(stamp=now()), HEADERS),
    name=(NAMES, JOINT_NAMES),
    position=([0.0] * 6, arrays(6)),
    velocity=([], arrays(6)),
    effort=([], arrays(6)),
)
CHUNKS = messages(
    observation_stamp=(now(-0.1), STAMPS),
    chunk_id=(1, UINT64),
    request_id=(0, UINT64),
    task=("pick", TEXTS),
    policy=("", TEXTS),
    joint_names=(NAMES, JOINT_NAMES),
    step_duration=(SimpleNamespace(sec=0, nanosec=33_333_333), STAMPS),
    positions=([0.1] * 120, st.one_of(arrays(12), arrays(120))),
    inference_duration=(SimpleNamespace(sec=0, nanosec=0), STAMPS),
    expires=(SimpleNamespace(sec=0, nanosec=0), STAMPS),
)
REQUESTS = messages(
    header=(SimpleNamespace(stamp=now()), HEADERS),
    request_id=(1, UINT64),
    task=("pick", TEXTS),
    reason=(0, st.integers(0, 255)),
    queue_duration=(SimpleNamespace(sec=1, nanosec=0), STAMPS),
    joint_names=(NAMES, JOINT_NAMES),
    prefix=([0.1] * 12, arrays(12)),
    prefix_stamp=(now(0.02), STAMPS),
    expected_delay=(SimpleNamespace(sec=0, nanosec=500_000_000), STAMPS),
)
IMAGES = messages(
    header=(SimpleNamespace(stamp=now()), HEADERS),
    height=(2, UINT32),
    width=(2, UINT32),
    encoding=("rgb8", st.sampled_from([*ENCODINGS, "16UC1", "", "x" * 10_000])),
    is_bigendian=(0, st.integers(0, 255)),
    step=(6, UINT32),
    data=(bytes(12), st.binary(max_size=64)),
)
COMPRESSED = st.binary(max_size=64).flatmap(
    lambda data: st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]).map(
        lambda start: SimpleNamespace(
            header=SimpleNamespace(stamp=now()), format="jpeg", data=start + data + b"\xff\xd9IEND"
        )
    )
)
quick = settings(max_examples=100, deadline=None)


@quick
@given(message=JOINT_STATES)
def test_joint_states_give_finite_plausible_positions_or_raise(message: Any) -> None:
    try:
        joints = joints_from_msg(message, ROBOT.joint_names)
    except WireError:
        return
    assert joints.positions_rad.shape == (6,) and (np.abs(joints.positions_rad) < 1e4).all()


@quick
@given(message=st.one_of(IMAGES, COMPRESSED))
def test_images_give_pixels_or_raise(message: Any) -> None:
    try:
        frame = frame_from_msg(message, "top")
    except ImageError:
        return
    assert frame.image.dtype == np.uint8 and frame.image.ndim == 3


@quick
@given(message=REQUESTS, start_s=st.floats(-1.0, 1.0))
def test_requests_give_a_plan_of_finite_length_or_raise(message: Any, start_s: float) -> None:
    try:
        request = request_from_msg(message)
    except WireError:
        return
    assert request.request_id > 0
    try:
        rows = request.prefix_on_grid(NOW_NS + round(start_s * 1e9), 33_333_333)
    except RequestError:
        return
    assert len(rows) <= 60 * 30 + 50 and np.isfinite(rows).all()


@settings(max_examples=100, deadline=None)
@given(
    chunks=st.lists(CHUNKS, min_size=1, max_size=5),
    fusion=st.sampled_from(sorted(FUSIONS)),
    poses=st.lists(JOINT_STATES, max_size=3),
    task=st.sampled_from(["pick", "x" * 10_000, ""]),
)
def test_chunks_are_executed_within_the_limits_or_rejected(
    chunks: list[Any], fusion: str, poses: list[Any], task: str
) -> None:
    executor = ChunkExecutor(ExecutorConfig(mode="shadow", fusion=fusion), ROBOT)
    now_ns = NOW_NS - 1_000_000_000
    executor.start(now_ns)
    executor.set_task("pick", now_ns)
    pose = np.array([joint.middle_rad for joint in ROBOT.joints])
    for message in (*chunks, *poses, None):
        if message is not None and hasattr(message, "name"):
            with suppress(WireError):
                executor.update_joints(joints_from_msg(message, ROBOT.joint_names))
        elif message is not None:
            try:
                executor.accept(chunk_from_msg(message), NOW_NS)
            except ChunkError as error:
                assert error.reason
        for _ in range(3):
            now_ns = max(now_ns, NOW_NS) + 33_333_333
            executor.update_joints(Joints(now_ns, pose, np.zeros(6)))
            executor.step(now_ns)
            executor.request(now_ns)
            executor.status(now_ns)
            executor.plan(now_ns)
    executor.set_task(task, now_ns)
    assert executor.planned is None or (
        (executor.planned >= ROBOT.lower_rad).all() and (executor.planned <= ROBOT.upper_rad).all()
    )


@pytest.mark.parametrize("step_ns", [2**31 * 10**9, 10**12, -1, 0])
def test_a_chunk_with_an_implausible_step_is_rejected_by_name(step_ns: int) -> None:
    chunk = ActionChunk(np.zeros((60, 6)), ROBOT.joint_names, NOW_NS, step_ns, 1, 0, "pick")
    with pytest.raises(ChunkError, match="step_duration") as caught:
        chunk.check(ROBOT.joint_names, NOW_NS, 0)
    assert caught.value.reason == "step_duration"
