# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chunks give the action that was due, and the joints of several arms become one state without values of its future."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.typesys import get_types_from_msg

from smolvla_ros.dataset.alignment import AlignedEpisode, AlignmentSettings, align_streams
from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.dataset.bag_mapping import BagMapping, JointTopic
from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.dataset.joint_topics import ACTION_CHUNK
from smolvla_ros.dataset.mapped_bag import MappedBag
from smolvla_ros.robot import RobotSpec

from ..package_files import ROOT
from ..sample_bags import LAG_NS, ROBOT, START_NS, Edit, Entry, header, joint_state, positions, record

STEP_NS = 40_000_000  # from one action of a chunk to the next
STEPS = 10
ARMS = {"left_": "/left/joint_states", "right_": "/right/joint_states"}
TWO_ARMS = replace(
    ROBOT, joints=tuple(replace(joint, name=arm + joint.name) for arm in ARMS for joint in ROBOT.joints)
)


def aligned(bag: Path, robot: RobotSpec, mapping: BagMapping) -> AlignedEpisode:
    with MappedBag(bag, robot, mapping) as opened:
        return align_streams(opened, robot, opened.sources(), AlignmentSettings(30))


def chunk(bag: BagWriter, number: int, observed_ns: int, published_ns: int, expires_ns: int = 0) -> Any:
    """Action k is the pose at its time, but for the joint with the chunk's number."""
    if ACTION_CHUNK not in bag._store.types:
        bag._store.register(get_types_from_msg((ROOT / "msg" / "ActionChunk.msg").read_text(), ACTION_CHUNK))
    rows = [positions((observed_ns + k * STEP_NS - START_NS) / 1e9) for k in range(STEPS)]
    for row in rows:
        row[0] = number / 100
    seconds = [divmod(stamp_ns, 10**9) for stamp_ns in (observed_ns, expires_ns)]
    observed, expires = (bag.message("builtin_interfaces/msg/Time", sec=s, nanosec=n) for s, n in seconds)
    return bag.message(
        ACTION_CHUNK,
        header=header(bag, published_ns),
        observation_stamp=observed,
        chunk_id=number,
        request_id=0,
        task="",
        policy="",
        joint_names=list(ROBOT.joint_names),
        step_duration=bag.message("builtin_interfaces/msg/Duration", sec=0, nanosec=STEP_NS),
        positions=np.concatenate(rows),
        inference_duration=bag.message("builtin_interfaces/msg/Duration", sec=0, nanosec=0),
        expires=expires,
    )


def chunk_bag(folder: Path, chunks: dict[int, tuple[float, float, float]]) -> Path:
    """A bag whose commands are these chunks: number -> times of observation, publication and expiry, s."""

    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        kept = [entry for entry in entries if entry[0] != "/joint_commands"]
        for number, times_s in chunks.items():
            observed, published, expires = (START_NS + round(at * 1e9) if at else 0 for at in times_s)
            message = chunk(bag, number, observed, published, expires)
            kept.append(("/action_chunk", message, published + LAG_NS))
        return kept

    return record(folder, edit=edit)


def test_chunks_of_an_older_definition_are_an_error_of_the_episode(tmp_path: Path) -> None:
    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        bag._store.register(get_types_from_msg("std_msgs/Header header", ACTION_CHUNK))
        old = bag.message(ACTION_CHUNK, header=header(bag, START_NS))
        return [*entries, ("/action_chunk", old, START_NS + LAG_NS)]

    with pytest.raises(EpisodeError, match="/action_chunk: its chunks are of another version of smolvla_ros"):
        aligned(record(tmp_path / "bag", edit=edit), ROBOT, BagMapping(action=JointTopic("action_chunk")))


def test_the_action_is_the_one_that_was_due_of_the_newest_chunk(tmp_path: Path) -> None:
    published_s = [0.02, 0.22, 0.42, 0.62, 0.82]
    chunks = {n + 1: (at - 0.1, at, 0.0) for n, at in enumerate(published_s)}
    chunks[9] = (0.1, 0.55, 0.0)  # when it comes, all its actions are past
    episode = aligned(
        chunk_bag(tmp_path / "bag", chunks), ROBOT, BagMapping(action=JointTopic("action_chunk"))
    )
    at_s = (episode.stamps_ns - START_NS) / 1e9
    newest = np.searchsorted(published_s, at_s, side="right") - 1
    assert np.allclose(episode.action_rad[:, 0], (newest + 1) / 100) and len(at_s) > 25
    observed = np.array(published_s)[newest] - 0.1
    due = observed + np.floor((at_s - observed) / 0.04 + 1e-6) * 0.04
    assert np.allclose(episode.action_rad[:, 1:], [positions(at)[1:] for at in due])


def test_actions_after_a_chunk_expires_are_left_out(tmp_path: Path) -> None:
    bag = chunk_bag(tmp_path / "bag", {1: (0.001, 0.02, 0.1), 2: (0.85, 0.9, 0.0)})
    with pytest.raises(EpisodeError, match=r"action_chunk \(action\) has no messages for 0.8\d s"):
        aligned(bag, ROBOT, BagMapping(action=JointTopic("action_chunk")))


def two_arms(silent_s: tuple[float, float] = (0.0, 0.0)) -> Edit:
    """State and action of both arms; the right one has half the rate, other positions, and is stamped later.

    `silent_s`: from when to when the right one sends nothing.
    """

    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        changed = []
        for topic, message, at in entries:
            if topic == "/joint_states":
                changed.append(("/left/joint_states", message, at))
            elif topic == "/joint_commands":
                message.name = list(TWO_ARMS.joint_names)
                message.position = np.tile(message.position, 2)
                changed.append((topic, message, at))
            else:
                changed.append((topic, message, at))
        for k in range(25):
            stamp_ns = START_NS + k * 40_000_000 + 7_000_000
            if not silent_s[0] <= k / 25 < silent_s[1]:
                message = joint_state(bag, stamp_ns, -positions(k / 25))
                changed.append(("/right/joint_states", message, stamp_ns + LAG_NS))
        return changed

    return edit


def test_two_arms_become_one_state_in_the_order_of_the_robot_file(tmp_path: Path) -> None:
    mapping = BagMapping(state=JointTopic(" + ".join(ARMS.values()), arms=ARMS))
    bag = record(tmp_path / "bag", edit=two_arms())
    episode = aligned(bag, TWO_ARMS, mapping)
    assert episode.state_rad.shape == episode.action_rad.shape == (len(episode.stamps_ns), 12)
    assert len(episode.stamps_ns) > 25
    ages_s = []
    for stamp_ns, row in zip(episode.stamps_ns, episode.state_rad, strict=True):
        for values, later_s in ((row[:6], 0.0), (-row[6:], 0.007)):
            seconds = (values[0] - positions(0.0)[0]) / 0.2  # of the recording, from the position
            assert np.allclose(values, positions(seconds))
            ages_s.append((stamp_ns - START_NS) / 1e9 - seconds - later_s)
    assert min(ages_s) > -1e-6 and max(ages_s) < 0.06  # never the future, at most a period of the slower arm


def test_an_arm_that_falls_silent_is_a_gap_of_the_state(tmp_path: Path) -> None:
    mapping = BagMapping(state=JointTopic(" + ".join(ARMS.values()), arms=ARMS))
    bag = record(tmp_path / "bag", edit=two_arms((0.3, 0.7)))
    with pytest.raises(
        EpisodeError, match=r"/left/joint_states \+ /right/joint_states \(state\) has no messages"
    ):
        aligned(bag, TWO_ARMS, mapping)


def test_arms_may_not_be_chunks(tmp_path: Path) -> None:
    bag = chunk_bag(tmp_path / "bag", {1: (0.001, 0.02, 0.0)})
    arms = {"left_": "/joint_states", "right_": "/action_chunk"}
    with pytest.raises(
        EpisodeError, match=r"/action_chunk \(the action\) is a smolvla_ros/msg/ActionChunk, not"
    ):
        aligned(bag, TWO_ARMS, BagMapping(action=JointTopic("both", arms=arms)))
